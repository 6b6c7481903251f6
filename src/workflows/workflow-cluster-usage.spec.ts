import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import '../../test/support/quiet-logger.js';
import { openWorkflowRoom, type WorkflowRoom } from '../../test/support/workflow-room.js';
import { type Principal, SYSTEM_SCOPE } from '../auth/principal.js';
import { CreateWorkflow } from './workflow.dto.js';
import { WorkflowClusterUsage } from './workflow-cluster-usage.js';

const ANN: Principal = { kind: 'user', id: 'ann', role: 'operator', tenantId: 'default' };

describe('WorkflowClusterUsage', () => {
  let room: WorkflowRoom;
  beforeAll(async () => {
    room = await openWorkflowRoom();
  });
  afterAll(() => room.close());

  async function workflowWithObject(clusterId: string, name: string): Promise<string> {
    const manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name } };
    const input = { name, clusterId, namespace: 'shop', nodes: [{ id: 'a', manifest }] };
    const { id, tenantId } = await room.service.create(ANN, CreateWorkflow.parse(input));
    const object = { group: '', version: 'v1', kind: 'ConfigMap', namespace: 'shop', name };
    await room.inventory.claim({ tenantId, workflowId: id, nodeId: 'a', clusterId, revision: 1, ...object });
    return id;
  }

  it('names the objects in a cluster, and forgets those of that cluster only', async () => {
    const usage = new WorkflowClusterUsage(room.workflows, room.inventory, room.resources, room.clusters);
    expect(room.clusters.usage).toBe(usage);
    const [one, two] = [room.clusters.add(), room.clusters.add()];
    const first = await workflowWithObject(one, 'first');
    await workflowWithObject(two, 'second');
    const object = { workflowId: first, workflowName: 'first', kind: 'ConfigMap', namespace: 'shop', name: 'first' };
    expect(await usage.objectsOf(one)).toEqual([object]);

    await usage.abandon(one);
    await usage.abandon(one);
    expect(await usage.objectsOf(one)).toEqual([]);
    expect(await usage.objectsOf(two)).toMatchObject([{ workflowName: 'second' }]);
    expect(new Set(room.resources.forgotten)).toEqual(new Set([first]));
    expect(await room.workflows.exists(SYSTEM_SCOPE, first)).toBe(true);
  });
});
