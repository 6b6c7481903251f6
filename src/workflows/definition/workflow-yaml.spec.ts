import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { stringify } from 'yaml';
import { AppError } from '../../errors/app-error.js';
import { checkDefinition } from './definition-rules.js';
import { parseWorkflowYaml } from './workflow-yaml.js';

function errorsOf(text: string): readonly string[] {
  try {
    parseWorkflowYaml(text);
  } catch (error) {
    if (error instanceof AppError) return error.errors.map(({ path, message }) => `${path}|${message}`);
    throw error;
  }
  return [];
}

function idsOf(text: string): readonly string[] {
  return parseWorkflowYaml(text).nodes.map(({ id }) => id);
}

const object = (kind: string, name: string): string => `kind: ${kind}\nmetadata: {name: ${name}}\n`;

describe('parseWorkflowYaml', () => {
  it('makes one node of each document and passes over empty ones', () => {
    const text = `---\n# nothing\n---\n${object('ConfigMap', 'a')}---\n---\n${object('Deployment', 'web')}...\n`;
    expect(parseWorkflowYaml(text).nodes).toEqual([
      { id: 'configmap-a', manifest: { kind: 'ConfigMap', metadata: { name: 'a' } } },
      { id: 'deployment-web', manifest: { kind: 'Deployment', metadata: { name: 'web' } } },
    ]);
  });

  it('takes JSON too', () => {
    expect(idsOf('{"kind": "Pod", "metadata": {"name": "x"}}')).toEqual(['pod-x']);
  });

  it('unfolds a List', () => {
    const text =
      'kind: List\napiVersion: v1\nitems:\n- kind: Pod\n  metadata: {name: a}\n- kind: Pod\n  metadata: {name: b}\n';
    expect(idsOf(text)).toEqual(['pod-a', 'pod-b']);
  });

  it('makes ids that are unique DNS labels, whatever the names', () => {
    const name = fc.oneof(
      fc.string({ maxLength: 300 }),
      fc.constantFrom('a.b', 'a-b', 'x'.repeat(100), 'x'.repeat(99)),
    );
    const objects = fc.array(fc.tuple(fc.constantFrom('Pod', 'Service', 'Unknown'), name), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(objects, (pairs) => {
        const text = pairs.map(([kind, each]) => stringify({ kind, metadata: { name: each } })).join('---\n');
        const ids = idsOf(text);
        expect(new Set(ids).size).toBe(pairs.length);
        for (const id of ids) expect(id).toMatch(/^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$/);
      }),
    );
  });

  it('reads scalars as kubectl does', () => {
    const text = `${object('Pod', 'x')}spec: {mode: 0644, new: 0o644, hex: 0x1F, on: yes, off: off, time: 22:22, date: 2026-01-01, number: 1_000}\n`;
    const [node] = parseWorkflowYaml(text).nodes;
    expect(node?.manifest).toMatchObject({
      spec: { mode: 420, new: 420, hex: 31, true: true, false: false, time: '22:22', date: '2026-01-01', number: 1000 },
    });
  });

  it.each([
    ['an anchor', 'a: &x 1', 1, 'anchors'],
    ['an alias', 'b: 1\na: *x', 2, 'anchors'],
    ['a tag', 'a: !!binary aGk=', 1, 'tags'],
    ['a merge key', 'a: 1\n<<: {b: 1}', 2, 'merge keys'],
    ['a duplicate key', 'a:\n  b: 1\n  c: 2\n  b: 3', 4, '"b" stands twice'],
    ['a key that is no text', '? [a]\n: 1', 1, 'key'],
    ['a directive', '%YAML 1.2\n---\na: 1', 1, 'directives'],
    ['what is not YAML', 'a: 1\nb: [1, 2\nc: 3', 3, ''],
    ['deep flow nesting', `a: ${'['.repeat(10_000)}`, 1, 'nested'],
    ['deep inline nesting', '- '.repeat(10_000), 1, 'nested'],
  ])('refuses %s with its line', (_, text, line, part) => {
    const [error, ...others] = errorsOf(`${text}\n`);
    expect(others).toEqual([]);
    expect(error).toContain(`|line ${line}: `);
    expect(error).toContain(part);
  });

  it('repeats nothing of a text that it cannot read', () => {
    const canary = 'hunter2';
    const places = ['a: [', 'a: "', "a: '", '- a\n b: ', '@', '%', 'a: |x\n', '}', 'a: b: ', '\t- ', 'a: 1\n', '!!x '];
    const text = fc.array(fc.constantFrom(...places, `${canary}\n`, canary), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(text, (parts) => {
        expect(errorsOf(parts.join('')).join()).not.toContain(canary);
      }),
    );
  });

  it('refuses an alias bomb at once', () => {
    const bomb = `a: &a [${'x,'.repeat(10)}]\n${'b: [*a,*a,*a,*a]\n'.repeat(50)}`;
    expect(errorsOf(bomb)[0]).toContain('anchors');
  });

  it('takes 200 objects and refuses 201', () => {
    const objects = (count: number) => Array.from({ length: count }, () => object('Pod', 'x')).join('---\n');
    expect(new Set(idsOf(objects(200))).size).toBe(200);
    expect(errorsOf(objects(201))[0]).toContain('201 objects');
  });

  it.each([64, 65, 400, 800, 1200, 1400])('takes at most 64 levels of block nesting: %d', (levels) => {
    const spec = Array.from({ length: levels - 1 }, (_, level) => `${' '.repeat(level + 1)}a:\n`).join('');
    const text = `apiVersion: v1\nkind: Pod\nmetadata: {name: x}\nspec:\n${spec}${' '.repeat(levels)}1\n`;
    const refusals = (): readonly unknown[] => {
      const { nodes, locate } = parseWorkflowYaml(text);
      return locate(checkDefinition({ namespace: 'shop', nodes, edges: [] }));
    };
    const found = errorsOf(text).length > 0 ? errorsOf(text) : refusals();
    expect(found).toHaveLength(levels === 64 ? 0 : 1);
  });

  it.each([
    ['documents', '---\na: 1\n', 'tokens'],
    ['keys', '? a\n', 'tokens'],
    ['closing brackets', ']', 'closes nothing'],
  ])('refuses a megabyte of %s without working through it', (_, unit, part) => {
    expect(errorsOf(unit.repeat((1024 * 1024) / unit.length))[0]).toContain(part);
  });

  it('refuses a text without an object', () => {
    expect(errorsOf('# nothing\n---\n')).toEqual(['|expected at least one YAML document with a Kubernetes object']);
  });

  it('tells broken rules by document, item and line', () => {
    const text = [
      'apiVersion: v1',
      'kind: ConfigMap',
      'metadata:',
      '  name: Wrong',
      '---',
      'apiVersion: v1',
      'kind: List',
      'items:',
      '- apiVersion: v1',
      '  kind: Pod',
      '  metadata:',
      '    name: x',
      '    namespace: other',
    ].join('\n');
    const { nodes, locate } = parseWorkflowYaml(text);
    const errors = locate(checkDefinition({ namespace: 'shop', nodes, edges: [] }));
    expect(errors.map(({ path }) => path)).toEqual([
      'documents[0].metadata.name',
      'documents[1].items[0].metadata.namespace',
    ]);
    expect(errors[0]?.message).toMatch(/^line 4: /);
    expect(errors[1]?.message).toMatch(/^line 13: /);
  });

  it('either reads a text or answers with AppError', () => {
    const token = fc.constantFrom(
      'a',
      ': ',
      '- ',
      '\n',
      '  ',
      '{',
      '}',
      '[',
      ']',
      '"',
      "'",
      '|',
      '>',
      '?',
      '---\n',
      '#',
      '\t',
      ',',
      'List',
      'kind',
      'items',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => expect(errorsOf(tokens.join(''))).toBeDefined()),
    );
  });
});
