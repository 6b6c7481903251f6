import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { formatPath } from '../../http/issues.js';
import { KINDS, apiVersionOf } from '../../kubernetes/kinds.js';
import { checkDefinition, type DefinitionInput } from './definition-rules.js';
import { MAX_MANIFEST_BYTES } from './manifest-rules.js';

const configMap = (name: string, more: Record<string, unknown> = {}): Record<string, unknown> => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
  ...more,
});

function definitionOf(manifests: readonly unknown[], edges: DefinitionInput['edges'] = []): DefinitionInput {
  return { namespace: 'shop', nodes: manifests.map((manifest, index) => ({ id: `n${index}`, manifest })), edges };
}

function problemsOf(definition: DefinitionInput): Record<string, string> {
  return Object.fromEntries(checkDefinition(definition).map(({ path, message }) => [formatPath(path), message]));
}

function problemsOfManifest(manifest: unknown): Record<string, string> {
  return problemsOf(definitionOf([manifest]));
}

const METADATA = 'nodes[0].manifest.metadata';

describe('the graph', () => {
  const three = [configMap('a'), configMap('b'), configMap('c')];

  it('names the path of a cycle', () => {
    const edges = [
      { source: 'n0', target: 'n1' },
      { source: 'n1', target: 'n2' },
      { source: 'n2', target: 'n0' },
    ];
    const [path, message] = Object.entries(problemsOf(definitionOf(three, edges)))[0] ?? [];
    expect(path).toMatch(/^edges\[\d\]$/);
    expect(message).toMatch(/n0 -> n1 -> n2|n1 -> n2 -> n0|n2 -> n0 -> n1/);
  });

  it('refuses unknown ends, edges to oneself and repeated edges', () => {
    const edges = [
      { source: 'n0', target: 'nowhere' },
      { source: 'n1', target: 'n1' },
      { source: 'n0', target: 'n2' },
      { source: 'n0', target: 'n2' },
    ];
    expect(Object.keys(problemsOf(definitionOf(three, edges)))).toEqual(['edges[0].target', 'edges[1]', 'edges[3]']);
  });

  it('refuses a repeated node id and a repeated object', () => {
    const nodes = [
      { id: 'a', manifest: configMap('x') },
      { id: 'a', manifest: configMap('y') },
      { id: 'b', manifest: configMap('x') },
    ];
    expect(Object.keys(problemsOf({ namespace: 'shop', nodes, edges: [] }))).toEqual([
      'nodes[1].id',
      'nodes[2].manifest.metadata.name',
    ]);
  });

  it('takes 200 nodes and refuses 201', () => {
    const manifests = Array.from({ length: 201 }, (_, index) => configMap(`c${index}`));
    expect(problemsOf(definitionOf(manifests.slice(1)))).toEqual({});
    expect(Object.keys(problemsOf(definitionOf(manifests)))).toEqual(['nodes']);
  });

  it('reports at most 100 violations', () => {
    expect(checkDefinition(definitionOf(Array.from({ length: 150 }, () => 'no manifest')))).toHaveLength(100);
  });
});

describe('kind and apiVersion', () => {
  it('takes the version of each of the 14 kinds', () => {
    const manifests = KINDS.map((kind) => ({
      apiVersion: apiVersionOf(kind),
      kind: kind.kind,
      metadata: { name: 'x' },
    }));
    expect(manifests).toHaveLength(14);
    expect(problemsOf(definitionOf(manifests))).toEqual({});
  });

  it.each([
    ['extensions/v1beta1', 'Ingress', 'nodes[0].manifest.apiVersion', 'networking.k8s.io/v1'],
    ['autoscaling/v1', 'HorizontalPodAutoscaler', 'nodes[0].manifest.apiVersion', 'autoscaling/v2'],
    [undefined, 'Pod', 'nodes[0].manifest.apiVersion', 'v1'],
    ['apps/v1', 'deploy', 'nodes[0].manifest.kind', 'write Deployment'],
    ['v1', 'Namespace', 'nodes[0].manifest.kind', 'Deployment, Service, StatefulSet'],
    ['rbac.authorization.k8s.io/v1', 'ClusterRoleBinding', 'nodes[0].manifest.kind', 'NetworkPolicy'],
    ['v1', 'List', 'nodes[0].manifest.kind', 'not a supported kind'],
    ['v1', undefined, 'nodes[0].manifest.kind', 'ConfigMap'],
  ])('%s %s: says what is expected', (apiVersion, kind, path, part) => {
    expect(
      problemsOfManifest(JSON.parse(JSON.stringify({ apiVersion, kind, metadata: { name: 'x' } })))[path],
    ).toContain(part);
  });

  it.each([['text'], [null], [[1]], [7], [undefined]])('%p is not a manifest', (manifest) => {
    expect(Object.keys(problemsOfManifest(manifest))).toEqual(['nodes[0].manifest']);
  });
});

describe('metadata', () => {
  it.each([
    ['Service', 'v1', '1st', false],
    ['Service', 'v1', 'a.b', false],
    ['Service', 'v1', 'a'.repeat(63), true],
    ['Service', 'v1', 'a'.repeat(64), false],
    ['CronJob', 'batch/v1', 'a'.repeat(52), true],
    ['CronJob', 'batch/v1', 'a'.repeat(53), false],
    ['Job', 'batch/v1', 'a'.repeat(63), true],
    ['Job', 'batch/v1', 'a'.repeat(64), false],
    ['ConfigMap', 'v1', '1.st-name', true],
    ['ConfigMap', 'v1', 'a'.repeat(253), true],
    ['ConfigMap', 'v1', 'a'.repeat(254), false],
    ['ConfigMap', 'v1', 'A', false],
    ['ConfigMap', 'v1', 'a_b', false],
    ['ConfigMap', 'v1', 'a..b', false],
    ['ConfigMap', 'v1', '-a', false],
    ['ConfigMap', 'v1', '../a', false],
    ['ConfigMap', 'v1', 'a\n', false],
    ['ConfigMap', 'v1', '', false],
    ['ConfigMap', 'v1', 5, false],
  ])('%s: name %3$p', (kind, apiVersion, name, accepted) => {
    const problems = problemsOfManifest({ apiVersion, kind, metadata: { name } });
    expect(Object.keys(problems)).toEqual(accepted ? [] : [`${METADATA}.name`]);
  });

  it('keeps the object in the namespace of the workflow', () => {
    expect(problemsOfManifest(configMap('x', { metadata: { name: 'x', namespace: 'shop' } }))).toEqual({});
    const problems = problemsOfManifest(configMap('x', { metadata: { name: 'x', namespace: 'kube-system' } }));
    expect(problems[`${METADATA}.namespace`]).toContain('"shop"');
  });

  it('refuses what the cluster writes and what would take the object out of our hands', () => {
    const metadata = {
      name: 'x',
      generateName: 'x-',
      uid: 'u',
      resourceVersion: '1',
      managedFields: [],
      ownerReferences: [],
      creationTimestamp: '2026-01-01T00:00:00Z',
      somethingElse: 1,
    };
    expect(Object.keys(problemsOfManifest(configMap('x', { metadata, status: { phase: 'x' } })))).toEqual([
      `${METADATA}.generateName`,
      `${METADATA}.uid`,
      `${METADATA}.resourceVersion`,
      `${METADATA}.managedFields`,
      `${METADATA}.ownerReferences`,
      `${METADATA}.creationTimestamp`,
      `${METADATA}.somethingElse`,
      'nodes[0].manifest.status',
    ]);
  });

  it('refuses labels and annotations that are ours or that Kubernetes would not take', () => {
    const metadata = {
      name: 'x',
      labels: {
        'app.kubernetes.io/name': 'fine',
        'app.kubernetes.io/managed-by': 'Helm',
        'crowsnest.io/workflow': 'x',
        'bad key': 'x',
        long: 'x'.repeat(64),
        number: 5,
      },
      annotations: {
        'example.com/note': 'anything at all \u{1F600}',
        'Crowsnest.io/node': 'x',
        'kubectl.kubernetes.io/last-applied-configuration': '{}',
        flag: true,
      },
      finalizers: ['example.com/wait', 'no finalizer'],
    };
    expect(Object.keys(problemsOfManifest(configMap('x', { metadata })))).toEqual([
      `${METADATA}.labels["app.kubernetes.io/managed-by"]`,
      `${METADATA}.labels["crowsnest.io/workflow"]`,
      `${METADATA}.labels["bad key"]`,
      `${METADATA}.labels.long`,
      `${METADATA}.labels.number`,
      `${METADATA}.annotations["Crowsnest.io/node"]`,
      `${METADATA}.annotations["kubectl.kubernetes.io/last-applied-configuration"]`,
      `${METADATA}.annotations.flag`,
      `${METADATA}.finalizers[1]`,
    ]);
  });
});

describe('the data of a Secret', () => {
  const canary = 'hunter2-not base64!';

  it('is told by key, never by value', () => {
    const problems = problemsOfManifest({
      apiVersion: 'v1',
      kind: 'Secret',
      metadata: { name: 'x' },
      data: { fine: 'aGk=', wrapped: 'aGVs\nbG8=', kept: '[sealed]', plain: canary, number: 5 },
      stringData: { fine: canary, list: [canary] },
    });
    expect(Object.keys(problems)).toEqual([
      'nodes[0].manifest.data.plain',
      'nodes[0].manifest.data.number',
      'nodes[0].manifest.stringData.list',
    ]);
    expect(JSON.stringify(problems)).not.toContain(canary);
  });
});

describe('hostile shapes', () => {
  const wrap = (depth: number): unknown => (depth === 0 ? 1 : { a: wrap(depth - 1) });

  it('takes 64 levels and refuses 65', () => {
    expect(problemsOfManifest(configMap('x', { spec: wrap(63) }))).toEqual({});
    expect(Object.values(problemsOfManifest(configMap('x', { spec: wrap(64) })))[0]).toContain('64 levels');
  });

  it('takes 10 000 keys and refuses 10 001', () => {
    const keys = (count: number) => Object.fromEntries(Array.from({ length: count }, (_, index) => [`k${index}`, '']));
    expect(problemsOfManifest(configMap('x', { data: keys(10_000) }))).toEqual({});
    expect(Object.keys(problemsOfManifest(configMap('x', { data: keys(10_001) })))).toEqual(['nodes[0].manifest.data']);
  });

  it('takes a text of 256 KiB and refuses one of a byte more', () => {
    const text = 'é'.repeat(128 * 1024);
    expect(problemsOfManifest(configMap('x', { data: { a: text } }))).toEqual({});
    expect(Object.keys(problemsOfManifest(configMap('x', { data: { a: `${text}x` } })))).toEqual([
      'nodes[0].manifest.data.a',
    ]);
  });

  it('takes a manifest of 900 KiB and refuses one of a byte more', () => {
    const empty = configMap('x', { data: { a: '', b: '', c: '', d: '' } });
    const room = MAX_MANIFEST_BYTES - JSON.stringify(empty).length;
    const filled = (bytes: number) => {
      const quarter = Math.floor(bytes / 4);
      const data = {
        a: 'x'.repeat(quarter),
        b: 'x'.repeat(quarter),
        c: 'x'.repeat(quarter),
        d: 'x'.repeat(bytes - 3 * quarter),
      };
      return configMap('x', { data });
    };
    expect(problemsOfManifest(filled(room))).toEqual({});
    expect(problemsOfManifest(filled(room + 1))['nodes[0].manifest']).toContain('at most');
  });

  it.each([[Number.POSITIVE_INFINITY], [2 ** 53], [Number.NaN], [undefined], [10n]])(
    'refuses the value %p',
    (value) => {
      expect(Object.keys(problemsOfManifest(configMap('x', { spec: { value } })))).toEqual([
        'nodes[0].manifest.spec.value',
      ]);
    },
  );

  it('refuses hostile keys at any place', () => {
    const hostile = fc.constantFrom('__proto__', 'constructor');
    const place = fc.array(fc.constantFrom('a', 'spec', 'metadata', 'b.c'), { maxLength: 6 });
    fc.assert(
      fc.property(hostile, place, (key, keys) => {
        const manifest = keys.reduceRight<string>(
          (inner, each) => `{${JSON.stringify(each)}:${inner}}`,
          `{"${key}":{"x":1}}`,
        );
        const text = `{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"x"},"data":${manifest}}`;
        expect(Object.values(problemsOfManifest(JSON.parse(text)))).toEqual(['is not allowed as a key; rename it']);
        expect(Reflect.get({}, 'x')).toBeUndefined();
      }),
    );
  });

  it('never throws, whatever it is given', () => {
    const anything = fc.anything({ withBigInt: true, withDate: true, withMap: true, withNullPrototype: true });
    const manifest = fc.record({
      apiVersion: fc.constant('v1'),
      kind: fc.constantFrom('Secret', 'ConfigMap', 'Service'),
      metadata: fc.oneof(
        anything,
        fc.record({ name: anything, labels: anything, annotations: anything, finalizers: anything }),
      ),
      data: anything,
      stringData: anything,
    });
    fc.assert(
      fc.property(fc.oneof(anything, manifest), (each) => expect(checkDefinition(definitionOf([each]))).toBeDefined()),
    );
  });
});
