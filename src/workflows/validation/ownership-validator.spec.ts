import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  configMapNode,
  type ExecutionRoom,
  INSTALLATION,
  openExecutionRoom,
  pathOfNode,
} from '../../../test/support/execution-room.js';
import { FakeClusterServer, refusal } from '../../../test/support/fake-cluster-server.js';
import { TIMEOUT_MS, unaborted } from '../../../test/support/validated-workflow.js';
import { newId } from '../../../test/support/workflow-room.js';
import { KubernetesApiError } from '../../kubernetes/index.js';
import type { StoredWorkflow } from '../workflow.js';
import { OwnershipValidator } from './ownership-validator.js';
import type { Finding } from './validator.js';

describe('the validator of ownership', () => {
  let room: ExecutionRoom;
  let server: FakeClusterServer;
  beforeAll(async () => {
    room = await openExecutionRoom();
  });
  afterAll(() => room.close());
  beforeEach(() => {
    server = new FakeClusterServer();
  });

  function validate(workflow: StoredWorkflow): Promise<Finding> {
    const database = { installation: { installationId: INSTALLATION } };
    const apis = { forCluster: () => Promise.resolve(server) };
    const validator = new OwnershipValidator(apis, database, room.inventory, room.workflows);
    return validator.validate({ workflow, timeoutMs: TIMEOUT_MS }, unaborted());
  }

  const labelsOf = (workflowId: string, installation = INSTALLATION) => ({
    'app.kubernetes.io/managed-by': 'crowsnest',
    'crowsnest.io/installation': installation,
    'crowsnest.io/workflow': workflowId,
  });

  it('has nothing to say to objects that are free or ours, and claims none', async () => {
    const workflow = await room.createWorkflow({ nodes: [configMapNode('a'), configMapNode('b')] });
    server.objects.edit(pathOfNode('a'), { manager: 'crowsnest', labels: labelsOf(workflow.id) });
    expect(await validate(workflow)).toEqual({ summary: '2 objects', problems: [] });
    expect(await room.inventory.ofWorkflow({ tenantId: '*' }, workflow.id)).toEqual([]);
  });

  it('names the workflow and node that hold an object, without asking the cluster for it', async () => {
    const clusterId = newId();
    const first = await room.createWorkflow({ clusterId, nodes: [configMapNode('settings', 'shared')] });
    const second = await room.createWorkflow({
      clusterId,
      nodes: [configMapNode('mine', 'shared'), configMapNode('b')],
    });
    const object = { group: '', version: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'shared' };
    const claim = { ...object, tenantId: 'default', workflowId: first.id, nodeId: 'settings', clusterId, revision: 1 };
    await room.inventory.claim(claim);
    expect((await validate(second)).problems).toEqual([
      {
        severity: 'error',
        nodeId: 'mine',
        path: null,
        message: `ConfigMap shop/shared belongs to node "settings" of workflow "${first.name}"`,
        hint: 'take it out here, or archive that workflow first',
      },
    ]);
    expect(server.calls.map(({ path }) => path)).toEqual([pathOfNode('b')]);
    expect((await validate(first)).problems).toEqual([]);
  });

  it('names the managers of an object that is there and not ours', async () => {
    const workflow = await room.createWorkflow({ nodes: [configMapNode('a'), configMapNode('b')] });
    server.objects.edit(pathOfNode('a'), { manager: 'helm' });
    server.objects.edit(pathOfNode('b'), { manager: 'crowsnest', labels: labelsOf(workflow.id, 'another') });
    expect((await validate(workflow)).problems).toMatchObject([
      { severity: 'error', nodeId: 'a', message: expect.stringContaining('managed by helm') },
      { severity: 'error', nodeId: 'b', message: expect.stringContaining('crowsnest installation another') },
    ]);
  });

  it('warns of one of ours that is being deleted, with what it waits for', async () => {
    const workflow = await room.createWorkflow();
    const labels = labelsOf(workflow.id);
    server.objects.edit(pathOfNode('a'), { manager: 'crowsnest', labels, finalizers: ['example.test/hold'] });
    await server.objects.call({ method: 'DELETE', path: pathOfNode('a'), body: {} });
    expect((await validate(workflow)).problems).toMatchObject([
      { severity: 'warning', nodeId: 'a', message: expect.stringContaining('example.test/hold') },
    ]);
  });

  it('warns where it is not allowed to look', async () => {
    const workflow = await room.createWorkflow();
    server.onCall = () => {
      throw refusal('forbidden', 403, 'Forbidden');
    };
    expect((await validate(workflow)).problems).toMatchObject([{ severity: 'warning', nodeId: 'a' }]);
  });

  it('tells what the inventory knows when the cluster cannot be asked', async () => {
    const clusterId = newId();
    const first = await room.createWorkflow({ clusterId });
    const second = await room.createWorkflow({ clusterId, nodes: [configMapNode('a'), configMapNode('b')] });
    const object = { group: '', version: 'v1', kind: 'ConfigMap', namespace: 'shop', name: 'a' };
    const claim = { ...object, tenantId: 'default', workflowId: first.id, nodeId: 'a', clusterId, revision: 1 };
    await room.inventory.claim(claim);
    server.onCall = () => {
      throw new KubernetesApiError('refused', 'nothing listens there');
    };
    expect((await validate(second)).problems).toMatchObject([
      { nodeId: 'a', message: expect.stringContaining('belongs to node') },
      { nodeId: null, message: expect.stringContaining('cannot be asked') },
    ]);
  });
});
