import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ANN,
  configMapNode,
  type ExecutionRoom,
  INSTALLATION,
  openExecutionRoom,
  outcomesOf,
  pathOfNode,
} from '../../../test/support/execution-room.js';
import { KubernetesApiError } from '../../kubernetes/index.js';
import type { Manifest, Run, StoredWorkflow } from '../workflow.js';

function ownLabels(workflowId: string, change: Record<string, string> = {}): Record<string, string> {
  return {
    'app.kubernetes.io/managed-by': 'crowsnest',
    'crowsnest.io/installation': INSTALLATION,
    'crowsnest.io/workflow': workflowId,
    'crowsnest.io/node': 'a',
    ...change,
  };
}

function deploymentNode(name: string, replicas: number, image = 'app:1') {
  const manifest: Manifest = {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: { replicas, image, template: { metadata: { labels: { app: name } } } },
  };
  return { id: 'a', manifest, timeoutMs: 60_000 };
}

describe('a node of an execution', () => {
  let room: ExecutionRoom;
  let count = 0;
  let name: string;

  beforeAll(async () => {
    room = await openExecutionRoom();
  });
  afterAll(() => room.close());
  beforeEach(() => {
    count += 1;
    name = `object-${count}`;
    room.server.onCall = () => undefined;
    room.server.onChanged = () => undefined;
    room.server.immutable.clear();
  });

  async function execute(workflow: StoredWorkflow, process = room.process()): Promise<Run> {
    await process.executor.start();
    const { id } = await process.service.execute(ANN, workflow.id);
    return room.ended(workflow.id, id, process.clock);
  }
  const single = (node = configMapNode('a', name)): Promise<StoredWorkflow> => room.createWorkflow({ nodes: [node] });
  async function replace(workflow: StoredWorkflow, node: StoredWorkflow['nodes'][number]): Promise<StoredWorkflow> {
    const { version } = (await room.workflows.find(ANN, workflow.id)) ?? workflow;
    const replaced = await room.workflows.replace(ANN, workflow.id, version, { ...workflow, nodes: [node] }, true);
    if (replaced === null) throw new Error('the workflow was changed meanwhile');
    return replaced;
  }

  it('is created with our labels, and unchanged the second time', async () => {
    const workflow = await single();
    const run = await execute(workflow);
    expect(run).toMatchObject({ state: 'succeeded', message: null, nodes: [{ outcome: 'created' }] });
    const created = room.server.metadata(pathOfNode(name));
    expect(created?.labels).toEqual(ownLabels(workflow.id));
    const [entry] = await room.inventory.ofWorkflow(ANN, workflow.id);
    expect(entry).toMatchObject({ uid: created?.uid, origin: 'created', lastApply: { outcome: 'created' } });
    expect(outcomesOf(await execute(workflow))).toEqual({ a: 'unchanged' });
    expect(room.server.metadata(pathOfNode(name))).toEqual(created);
  });

  it.each([
    ['nobody has labelled', () => undefined],
    ['another installation has labelled', (id: string) => ownLabels(id, { 'crowsnest.io/installation': 'other' })],
    ['another workflow has labelled', (id: string) => ownLabels(id, { 'crowsnest.io/workflow': 'other' })],
    ['somebody else manages by label', (id: string) => ownLabels(id, { 'app.kubernetes.io/managed-by': 'Helm' })],
  ])('leaves an object alone that %s', async (_what, labelsFor) => {
    const workflow = await single();
    const labels = labelsFor(workflow.id);
    const values = { '.data.color': 'green' };
    room.server.edit(pathOfNode(name), { manager: 'kubectl', values, ...(labels && { labels }) });
    const before = room.server.metadata(pathOfNode(name));
    const run = await execute(workflow);
    expect(run.nodes).toMatchObject([{ outcome: 'exists', reason: 'NotOurs' }]);
    expect(run.nodes[0]?.managers).toContain('kubectl');
    expect(room.server.metadata(pathOfNode(name))).toEqual(before);
    expect(await room.inventory.ofWorkflow(ANN, workflow.id)).toEqual([]);
  });

  it('takes an object over that carries our labels and was not made by us, as adopted', async () => {
    const workflow = await single();
    room.server.edit(pathOfNode(name), {
      manager: 'velero',
      labels: ownLabels(workflow.id),
      values: { '.data.color': 'blue' },
    });
    expect(outcomesOf(await execute(workflow))).toEqual({ a: 'configured' });
    expect(await room.inventory.ofWorkflow(ANN, workflow.id)).toMatchObject([{ origin: 'adopted' }]);
    await execute(workflow);
    expect(await room.inventory.ofWorkflow(ANN, workflow.id)).toMatchObject([{ origin: 'adopted' }]);
  });

  it('is ours under another node id too: a node can be renamed', async () => {
    const workflow = await single();
    await execute(workflow);
    const renamed = await replace(workflow, configMapNode('renamed', name));
    expect(outcomesOf(await execute(renamed))).toEqual({ renamed: 'configured' });
  });

  it('never takes over an object that comes into being between look and creation', async () => {
    const workflow = await single();
    room.server.onCall = ({ method }) => {
      if (method !== 'PATCH') return;
      room.server.onCall = () => undefined;
      room.server.edit(pathOfNode(name), { manager: 'kubectl', values: { '.data.color': 'green' } });
    };
    expect((await execute(workflow)).nodes).toMatchObject([{ outcome: 'exists' }]);
    expect(room.server.value(pathOfNode(name), '.data.color')).toBe('green');
  });

  it('refuses the execution when another workflow has the object, and ends a node that lost the race', async () => {
    const nodes = [configMapNode('a', name)];
    const first = await room.createWorkflow({ nodes });
    const second = await room.createWorkflow({ nodes, clusterId: first.clusterId });
    await execute(first);
    await expect(execute(second)).rejects.toMatchObject({
      code: 'workflow.object_taken',
      details: { workflowId: first.id, workflowName: first.name, nodeId: 'a' },
    });
    expect(await room.runs.last(ANN, second.id)).toBeNull();

    const held = room.inventory.heldByOthers.bind(room.inventory);
    room.inventory.heldByOthers = () => Promise.resolve([]);
    const run = await execute(second).finally(() => (room.inventory.heldByOthers = held));
    expect(run.nodes).toMatchObject([
      { outcome: 'exists', reason: 'workflow.object_taken', managers: [`workflow ${first.name}`] },
    ]);
  });

  it('tells a conflict with managers and fields, and changes nothing', async () => {
    const workflow = await single();
    await execute(workflow);
    room.server.edit(pathOfNode(name), { manager: 'kubectl-edit', values: { '.data.color': 'red' } });
    expect((await execute(workflow)).nodes).toMatchObject([
      { outcome: 'conflict', managers: ['kubectl-edit'], fields: ['.data.color'] },
    ]);
    expect(room.server.value(pathOfNode(name), '.data.color')).toBe('red');
  });

  it('tells an immutable field', async () => {
    const workflow = await single();
    await execute(workflow);
    room.server.immutable.add('.data.color');
    const changed = await replace(workflow, configMapNode('a', name, 'red'));
    expect((await execute(changed)).nodes).toMatchObject([{ outcome: 'immutable', fields: ['.data.color'] }]);
  });

  it('yields replicas that were set through the scale subresource, and applies the rest', async () => {
    const workflow = await single(deploymentNode(name, 2));
    const path = `/apis/apps/v1/namespaces/shop/deployments/${name}`;
    await execute(workflow);
    room.server.edit(path, { manager: 'hpa', subresource: 'scale', values: { '.spec.replicas': 5 } });
    const run = await execute(await replace(workflow, deploymentNode(name, 2, 'app:2')));
    expect(run.nodes).toMatchObject([
      { outcome: 'configured', reason: 'ReplicasYielded', managers: ['hpa'], fields: ['.spec.replicas'] },
    ]);
    expect([room.server.value(path, '.spec.replicas'), room.server.value(path, '.spec.image')]).toEqual([5, 'app:2']);
  });

  it('does not run a completed Job again that is gone, except with another manifest', async () => {
    const job = (image: string) => ({
      id: 'a',
      manifest: { apiVersion: 'batch/v1', kind: 'Job', metadata: { name }, spec: { image } } satisfies Manifest,
      timeoutMs: 60_000,
    });
    const path = `/apis/batch/v1/namespaces/shop/jobs/${name}`;
    const workflow = await single(job('app:1'));
    await execute(workflow);
    room.server.remove(path);
    // After a restart the cluster has not been listed yet.
    room.resources.see(workflow.id, 'a', { health: 'unknown', reason: 'Stale', previous: 'completed' });
    expect((await execute(workflow)).nodes).toMatchObject([{ outcome: 'unchanged', reason: 'JobCompleted' }]);
    expect(room.server.metadata(path)).toBeUndefined();
    expect(outcomesOf(await execute(await replace(workflow, job('app:2'))))).toEqual({ a: 'created' });
    room.server.remove(path);
    room.resources.see(workflow.id, 'a', { health: 'missing', reason: 'Missing', previous: 'progressing' });
    expect(outcomesOf(await execute(workflow))).toEqual({ a: 'created' });
  });

  it('applies stringData as data, and opens sealed values for the API server alone', async () => {
    const manifest: Manifest = { apiVersion: 'v1', kind: 'Secret', metadata: { name }, stringData: { key: 'canary' } };
    const workflow = await single({ id: 'a', manifest, timeoutMs: 60_000 });
    await execute(workflow);
    const path = `/api/v1/namespaces/shop/secrets/${name}`;
    expect(room.server.value(path, '.data.key')).toBe(Buffer.from('canary').toString('base64'));
    expect(room.server.value(path, '.stringData.key')).toBeUndefined();
    expect(JSON.stringify(room.published)).not.toContain('canary');
  });

  it('tries an unreachable cluster a few times, then tells why', async () => {
    const workflow = await single();
    let calls = 0;
    room.server.onCall = () => {
      calls += 1;
      throw new KubernetesApiError('refused', 'connection to 10.0.0.1:6443 was refused');
    };
    const process = room.process();
    const run = await execute(workflow, process);
    expect(run.nodes).toMatchObject([{ outcome: 'failed', reason: 'ClusterUnreachable' }]);
    expect(run.nodes[0]?.message).toContain('10.0.0.1:6443 was refused');
    expect(calls).toBeGreaterThan(2);
    expect(calls).toBeLessThan(10);
    expect(process.clock.pendingTimers).toBe(0);
  });

  it('looks again after an answer was lost, and tells the creation as its own', async () => {
    const workflow = await single();
    room.server.onChanged = () => {
      room.server.onChanged = () => undefined;
      throw new KubernetesApiError('cut', 'the connection broke');
    };
    expect(outcomesOf(await execute(workflow))).toEqual({ a: 'created' });
    expect(room.server.metadata(pathOfNode(name))?.generation).toBe(1);
    expect(await room.inventory.ofWorkflow(ANN, workflow.id)).toMatchObject([{ origin: 'created' }]);
  });

  it.each([
    ['forbidden', 403, 'Forbidden', 'not allowed to get configmaps in namespace shop'],
    ['unauthorized', 401, 'Unauthorized', 'asked'],
  ] as const)('tells %s at once and keeps no claim', async (failure, status, reason, text) => {
    const workflow = await single();
    room.server.onCall = () => {
      throw new KubernetesApiError(failure, 'asked', { status, reason });
    };
    const run = await execute(workflow);
    expect(run.nodes).toMatchObject([{ outcome: 'failed', reason }]);
    expect(run.nodes[0]?.message).toContain(text);
    expect(await room.inventory.ofWorkflow(ANN, workflow.id)).toEqual([]);
  });

  it('waits for an object of ours that is being deleted, then creates it anew', async () => {
    const workflow = await single();
    await execute(workflow);
    room.server.edit(pathOfNode(name), { manager: 'x', finalizers: ['example.test/hold'] });
    const first = room.server.metadata(pathOfNode(name));
    await room.server.call({ method: 'DELETE', path: pathOfNode(name), body: {} });
    let looks = 0;
    room.server.onCall = ({ method }) => {
      expect(method === 'PATCH' && looks < 3).toBe(false);
      looks += 1;
      if (looks === 3) room.server.edit(pathOfNode(name), { manager: 'x', finalizers: [] });
    };
    expect(outcomesOf(await execute(workflow))).toEqual({ a: 'created' });
    expect(room.server.metadata(pathOfNode(name))?.uid).not.toBe(first?.uid);
  });
});
