import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { newId, openWorkflowRoom, type WorkflowRoom } from '../../../test/support/workflow-room.js';

const SCOPE = { tenantId: 'default' };
const FOREIGN = { tenantId: 'other' };

describe('RunsRepository', () => {
  let room: WorkflowRoom;
  let workflowId: string;

  beforeAll(async () => {
    room = await openWorkflowRoom();
  });
  afterAll(() => room.close());
  beforeEach(() => {
    workflowId = newId();
  });

  it('finds the newest run of each workflow that has one', async () => {
    const other = newId();
    await room.addRun(workflowId);
    const newest = await room.addRun(workflowId, { state: 'failed' });
    const only = await room.addRun(other, { kind: 'archive' });
    const found = await room.runs.lastSummaries(SCOPE, [workflowId, other, newId()]);
    expect([...found]).toMatchObject([
      [workflowId, { id: newest, kind: 'execute', state: 'failed', endedAt: null }],
      [other, { id: only, kind: 'archive' }],
    ]);
    expect(await room.runs.last(SCOPE, workflowId)).toMatchObject({ id: newest, workflowId, revision: 1, version: 1 });
  });

  it('finds the run in progress, of which there is one', async () => {
    await room.addRun(workflowId);
    expect(await room.runs.active(SCOPE, workflowId)).toBeNull();
    const node = {
      nodeId: 'web',
      outcome: 'conflict',
      reason: 'FieldManagerConflict',
      message: 'x',
      fields: ['.spec.replicas'],
      managers: ['kubectl'],
      startedAt: new Date(room.clock.now()),
      endedAt: null,
    } as const;
    const id = await room.addRun(workflowId, { state: 'running', active: true, nodes: [node] });
    await expect(room.addRun(workflowId, { state: 'running', active: true })).rejects.toMatchObject({ code: 11_000 });
    expect(await room.runs.active(SCOPE, workflowId)).toMatchObject({
      id,
      nodes: [{ ...node, startedAt: node.startedAt.toISOString() }],
    });
  });

  it('shows and removes nothing of another tenant', async () => {
    const id = await room.addRun(workflowId, { state: 'running', active: true });
    expect(await room.runs.last(FOREIGN, workflowId)).toBeNull();
    expect(await room.runs.active(FOREIGN, workflowId)).toBeNull();
    expect(await room.runs.lastSummaries(FOREIGN, [workflowId])).toEqual(new Map());
    await room.runs.deleteOf(FOREIGN, workflowId);
    expect(await room.runs.last(SCOPE, workflowId)).toMatchObject({ id });
    await room.runs.deleteOf(SCOPE, workflowId);
    expect(await room.runs.last(SCOPE, workflowId)).toBeNull();
  });
});
