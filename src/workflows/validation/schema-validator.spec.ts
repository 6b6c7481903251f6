import { describe, expect, it } from '@jest/globals';
import { configMap, deployment, everyKind, secret } from '../../../test/support/manifests.js';
import { edges, node, storedWorkflow, TIMEOUT_MS } from '../../../test/support/validated-workflow.js';
import { FakeSealer } from '../../../test/support/workflow-room.js';
import type { StoredWorkflow } from '../workflow.js';
import { WorkflowSecrets } from '../workflow-secrets.js';
import { SchemaValidator } from './schema-validator.js';
import type { Problem } from './validator.js';

const secrets = new WorkflowSecrets(new FakeSealer());

async function problemsOf(change: Partial<StoredWorkflow>): Promise<readonly Problem[]> {
  const owner = storedWorkflow();
  const { nodes } = secrets.seal(owner, change.nodes ?? []);
  const workflow = { ...owner, ...change, nodes };
  return (await new SchemaValidator(secrets).validate({ workflow, timeoutMs: TIMEOUT_MS })).problems;
}

const service = (name: string, app: string, spec = {}) => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: { selector: { app }, ports: [{ port: 80 }], ...spec },
});

const podWith = (name: string, spec: object) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: { containers: [{ name: 'app', image: 'registry.test/app:1' }], ...spec },
});

describe('the validator of the schema', () => {
  it('has nothing to say to a good workflow of every kind', async () => {
    expect(await problemsOf({ nodes: everyKind().map(({ id, manifest }) => node(id, manifest)) })).toEqual([]);
  });

  it.each(['archiving', 'archived'] as const)(
    'tells of a workflow that is %s that it cannot be executed',
    async (state) => {
      const nodes = [node('a', configMap('a'))];
      const [problem, ...more] = await problemsOf({ nodes, state });
      expect(problem).toMatchObject({
        severity: 'error',
        nodeId: null,
        message: expect.stringContaining(`is ${state}`),
      });
      expect(more).toEqual([]);
    },
  );

  it('counts one edge as one', async () => {
    const workflow = { ...storedWorkflow(), nodes: [node('a', configMap('a')), node('b', configMap('b'))] };
    const { summary } = await new SchemaValidator(secrets).validate({
      workflow: { ...workflow, edges: edges('a -> b') },
      timeoutMs: TIMEOUT_MS,
    });
    expect(summary).toBe('2 nodes, 1 edge');
  });

  it('tells broken rules with node and path', async () => {
    const nodes = [node('a', configMap('a')), node('b', { ...configMap('b'), apiVersion: 'v2' })];
    const problems = await problemsOf({ nodes, edges: edges('a -> b', 'b -> nowhere') });
    expect(problems).toMatchObject([
      { severity: 'error', nodeId: 'b', path: 'nodes[1].manifest.apiVersion' },
      { severity: 'error', nodeId: null, path: 'edges[1].target' },
    ]);
  });

  it('tells a Secret that cannot be opened, without its content', async () => {
    const workflow = storedWorkflow();
    const other = { ...workflow, id: 'another-workflow' };
    const { nodes } = secrets.seal(other, [node('password', secret('password', { value: 'canary-1' }))]);
    const { problems } = await new SchemaValidator(secrets).validate({
      workflow: { ...workflow, nodes },
      timeoutMs: TIMEOUT_MS,
    });
    expect(problems).toMatchObject([{ severity: 'error', nodeId: 'password', path: 'nodes[0].manifest' }]);
    expect(JSON.stringify(problems)).not.toMatch(/canary|sealed\./);
  });

  describe('selectors', () => {
    it('warns of one that meets no pod of the workflow', async () => {
      const nodes = [node('web', deployment('web', 1)), node('front', service('front', 'wbe'))];
      expect(await problemsOf({ nodes })).toMatchObject([
        { severity: 'warning', nodeId: 'front', path: 'nodes[1].manifest.spec.selector' },
      ]);
    });

    it('takes those that select nothing, everything, or by expressions', async () => {
      const policy = (name: string, podSelector: object) => ({
        apiVersion: 'networking.k8s.io/v1',
        kind: 'NetworkPolicy',
        metadata: { name },
        spec: { podSelector },
      });
      const nodes = [
        node('web', deployment('web', 1)),
        node('named', service('named', 'elsewhere', { type: 'ExternalName', externalName: 'db.example.test' })),
        node('bare', service('bare', '', { selector: null })),
        node('all', policy('all', {})),
        node('some', policy('some', { matchExpressions: [{ key: 'app', operator: 'In', values: ['web', 'api'] }] })),
      ];
      expect(await problemsOf({ nodes })).toEqual([]);
      expect(await problemsOf({ nodes: [node('all', policy('all', {}))] })).toEqual([]);
    });
  });

  describe('waits for health that never end', () => {
    const web = node('web', deployment('web', 1));
    const front = node('front', service('front', 'web'));
    const other = node('settings', configMap('settings'));

    it('warns of a Service whose pods come only after it, however far', async () => {
      const nodes = [front, other, web];
      expect(await problemsOf({ nodes, edges: edges('front => settings', 'settings -> web') })).toMatchObject([
        { severity: 'warning', nodeId: 'front', path: 'edges[0].waitFor', message: expect.stringContaining('web') },
      ]);
    });

    it.each([
      ['waits for nothing but the apply', [front, web], edges('front -> web')],
      ['has its pods before it', [front, web, other], edges('web -> front', 'front => settings')],
      ['has pods that begin beside it', [front, web, other], edges('front => settings')],
      [
        'has some of its pods before it',
        [
          front,
          web,
          node('canary', podWith('canary', {})),
          node('first', { ...podWith('first', {}), metadata: { name: 'first', labels: { app: 'web' } } }),
        ],
        edges('first -> front', 'front => web'),
      ],
      ['is headless', [node('front', service('front', 'web', { clusterIP: 'None' })), web], edges('front => web')],
    ])('says nothing where the Service %s', async (_, nodes, given) => {
      expect(await problemsOf({ nodes, edges: given })).toEqual([]);
    });

    it.each([
      ['envFrom', { containers: [{ envFrom: [{ configMapRef: { name: 'settings' } }] }] }],
      ['env', { initContainers: [{ env: [{ valueFrom: { configMapKeyRef: { name: 'settings' } } }] }] }],
      ['a volume', { volumes: [{ configMap: { name: 'settings' } }] }],
      ['a projected volume', { volumes: [{ projected: { sources: [{ configMap: { name: 'settings' } }] } }] }],
    ])('warns of pods that need a later ConfigMap by %s', async (_, spec) => {
      const nodes = [node('pod', podWith('pod', spec)), other];
      expect(await problemsOf({ nodes, edges: edges('pod => settings') })).toMatchObject([
        { severity: 'warning', nodeId: 'pod', message: expect.stringContaining('ConfigMap settings') },
      ]);
    });

    it('lets what is optional be missing', async () => {
      const spec = { containers: [{ envFrom: [{ configMapRef: { name: 'settings', optional: true } }] }] };
      expect(
        await problemsOf({ nodes: [node('pod', podWith('pod', spec)), other], edges: edges('pod => settings') }),
      ).toEqual([]);
    });

    it('warns of later Secrets, claims and targets of autoscalers too', async () => {
      const { claim, scaler } = Object.fromEntries(everyKind().map(({ id, manifest }) => [id, manifest]));
      const volumes = [{ secret: { secretName: 'password' } }, { persistentVolumeClaim: { claimName: 'claim' } }];
      const nodes = [
        node('pod', podWith('pod', { volumes })),
        node('scaler', scaler),
        node('password', secret('password', { value: 'x' })),
        node('claim', claim),
        web,
      ];
      const problems = await problemsOf({
        nodes,
        edges: edges('pod => password', 'password -> claim', 'scaler => web'),
      });
      expect(
        problems.map(({ nodeId, message }) => [
          nodeId,
          /(Secret|PersistentVolumeClaim|Deployment) \w+/.exec(message)?.[0],
        ]),
      ).toEqual([
        ['pod', 'Secret password'],
        ['pod', 'PersistentVolumeClaim claim'],
        ['scaler', 'Deployment web'],
      ]);
    });
  });
});
