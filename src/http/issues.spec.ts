import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { formatPath, placeIssues } from './issues.js';
import { jsonOrText } from './json-or-text.js';

const schema = z.strictObject({
  nodes: z.array(z.strictObject({ id: z.string() })),
  labels: z.record(z.string(), z.string()),
});

function paths(result: z.ZodSafeParseResult<unknown>): string[] {
  return result.success ? [] : placeIssues(result.error.issues).map(({ path }) => formatPath(path));
}

const WRONG = { nodes: [{ id: 1, colour: 'blue' }], labels: { 'a/b': 1 }, more: true, 'and more': true };
const WRONG_PATHS = ['nodes[0].id', 'nodes[0].colour', 'labels["a/b"]', 'more', '["and more"]'];

describe('placeIssues', () => {
  it('names the path of each wrong field, of each unknown one too', () => {
    expect(paths(schema.safeParse(WRONG))).toEqual(WRONG_PATHS);
  });

  it('tells of a value that may be one or many what is wrong with it as what it is', () => {
    const one = z.enum(['queued', 'running']);
    const query = z.object({ state: z.union([one.transform((state) => [state]), z.array(one).max(2)]) });
    const told = (state: unknown) => {
      const { error } = query.safeParse({ state });
      return placeIssues(error?.issues ?? []).map(({ path, message }) => `${formatPath(path)}: ${message}`);
    };
    const allowed = 'Invalid option: expected one of "queued"|"running"';
    expect(told('foo')).toEqual([`state: ${allowed}`]);
    expect(told(['queued', 'foo'])).toEqual([`state[1]: ${allowed}`]);
    expect(told(['queued', 'queued', 'queued'])).toEqual(['state: Too big: expected array to have <=2 items']);
    expect(told({ a: 1 })).toEqual([`state: ${allowed}`]);
    const numbers = z.object({ at: z.union([z.number(), z.array(z.number())]) });
    const { error } = numbers.safeParse({ at: 'x' });
    expect(placeIssues(error?.issues ?? [])).toEqual([{ path: ['at'], message: 'Invalid input' }]);
  });
});

describe('jsonOrText', () => {
  const body = jsonOrText(schema, 'Thing');

  it('takes text as it is and JSON by its schema, with the same paths', () => {
    expect(body.parse('kind: Config')).toBe('kind: Config');
    expect(body.parse({ nodes: [], labels: {} })).toEqual({ nodes: [], labels: {} });
    expect(paths(body.safeParse(WRONG))).toEqual(WRONG_PATHS);
  });

  it('is the named schema to OpenAPI', () => {
    expect(z.toJSONSchema(body, { io: 'input' })).toMatchObject({ $ref: '#/components/schemas/Thing' });
  });
});
