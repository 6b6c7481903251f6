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
