import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import '../../test/support/quiet-logger.js';
import { newId, openWorkflowRoom, type WorkflowRoom } from '../../test/support/workflow-room.js';
import { MAX_WORKFLOW_SERIES, WorkflowsMetrics } from './workflows.metrics.js';
import type { NewWorkflow } from './workflows.repository.js';

describe('crowsnest_workflow_health', () => {
  let room: WorkflowRoom;
  beforeAll(async () => {
    room = await openWorkflowRoom();
  });
  afterAll(() => room.close());

  async function addWorkflow(clusterId: string, name: string, tenantId = 'default'): Promise<string> {
    const workflow: NewWorkflow = {
      id: newId(),
      tenantId,
      name,
      clusterId,
      namespace: 'shop',
      labels: {},
      onFailure: 'stop',
      nodes: [],
      edges: [],
      createdBy: 'ann',
    };
    await room.workflows.create(workflow);
    return workflow.id;
  }

  it('tells the health of each active workflow, and counts the oldest beyond the bound', async () => {
    const registry = new Registry();
    void new WorkflowsMetrics(registry, room.workflows, room.resources, room.clusters);
    const clusterId = room.clusters.add({ name: 'prod' });
    const oldest = await addWorkflow(clusterId, 'oldest');
    room.resources.healths.set(oldest, { health: 'degraded', since: null, counts: { degraded: 1 } });
    const archived = await addWorkflow(clusterId, 'archived');
    await room.workflows.transition({ tenantId: 'default' }, archived, ['active'], 'archived');
    const bad = await addWorkflow(clusterId, 'bad');
    room.resources.healths.set(bad, { health: 'degraded', since: null, counts: { degraded: 1 } });
    await addWorkflow(clusterId, 'new');
    await addWorkflow(clusterId, 'new', 'other');

    const before = await registry.metrics();
    expect(before).toContain(
      'crowsnest_workflow_health{cluster="prod",namespace="shop",workflow="bad",health="degraded"} 1',
    );
    expect(before).toContain(
      'crowsnest_workflow_health{cluster="prod",namespace="shop",workflow="new",health="none"} 2',
    );
    expect(before).toContain('workflow="oldest",health="degraded"} 1');
    expect(before).not.toContain('archived"');

    for (let index = 0; index < MAX_WORKFLOW_SERIES - 3; index += 1) await addWorkflow(clusterId, `w${index}`);
    const after = await registry.metrics();
    expect(after).not.toContain('workflow="oldest"');
    expect(after).toContain('crowsnest_workflow_health{cluster="",namespace="",workflow="",health="degraded"} 1');
    expect(after).toContain('workflow="bad",health="degraded"} 1');
  }, 30_000);

  it('says how the bound is told', async () => {
    const registry = new Registry();
    void new WorkflowsMetrics(registry, room.workflows, room.resources, room.clusters);
    expect(await registry.metrics()).toContain(`The newest ${MAX_WORKFLOW_SERIES} have a series each`);
  });
});
