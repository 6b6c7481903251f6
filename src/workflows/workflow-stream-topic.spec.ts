import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import '../../test/support/quiet-logger.js';
import { settle } from '../../test/support/fake-clock.js';
import { newId, openWorkflowRoom, type WorkflowRoom } from '../../test/support/workflow-room.js';
import type { Principal } from '../auth/principal.js';
import { EventBus, type StreamItem, type StreamTopic } from '../realtime/index.js';
import { CreateWorkflow } from './workflow.dto.js';
import { WorkflowStreamTopic } from './workflow-stream-topic.js';

const ANN: Principal = { kind: 'user', id: 'ann', role: 'operator', tenantId: 'default' };

/** Keeps what would go to clients. */
class RecordingBroadcaster {
  readonly topics: StreamTopic[] = [];
  readonly published: Array<readonly [string, string, StreamItem]> = [];
  readonly retired: string[] = [];

  registerTopic(topic: StreamTopic): void {
    this.topics.push(topic);
  }

  publish(...event: [string, string, StreamItem]): void {
    this.published.push(event);
  }

  retire(streamKey: string): void {
    this.retired.push(streamKey);
  }
}

describe('WorkflowStreamTopic', () => {
  let room: WorkflowRoom;
  let workflowId: string;
  let bus: EventBus;
  let topic: WorkflowStreamTopic;
  const broadcaster = new RecordingBroadcaster();

  beforeAll(async () => {
    room = await openWorkflowRoom();
    bus = new EventBus(room.clock, { eventBufferSize: 10 });
    topic = new WorkflowStreamTopic(room.workflows, room.runs, room.resources, broadcaster, bus);
    const manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'a' } };
    const input = { name: 'shop', clusterId: room.clusters.add(), namespace: 'shop', nodes: [{ id: 'a', manifest }] };
    ({ id: workflowId } = await room.service.create(ANN, CreateWorkflow.parse(input)));
    await bus.start();
  });
  afterAll(async () => {
    await bus.stop(AbortSignal.abort());
    await room.close();
  });

  it('is registered for the keys of workflows', () => {
    expect(broadcaster.topics.map(({ prefix }) => prefix)).toEqual(['workflow']);
  });

  it('lets only those in who may see the workflow', async () => {
    await topic.authorize(ANN, workflowId);
    const refused = { code: 'resource.not_found' };
    await expect(topic.authorize({ ...ANN, tenantId: 'other' }, workflowId)).rejects.toMatchObject(refused);
    await expect(topic.authorize(ANN, newId())).rejects.toMatchObject(refused);
    await expect(topic.authorize(ANN, 'nonsense')).rejects.toMatchObject(refused);
  });

  it('shows resources and the last run', async () => {
    expect(await topic.snapshot(ANN, workflowId)).toEqual([]);
    const item: StreamItem = { eventType: 'node_update', entity: 'resource:1', version: 3, data: {} };
    room.resources.items.set(workflowId, [item]);
    await room.addRun(workflowId);
    const runId = await room.addRun(workflowId, { version: 4 });
    expect(await topic.snapshot(ANN, workflowId)).toMatchObject([
      item,
      { eventType: 'run_update', entity: `run:${runId}`, version: 4, data: { id: runId } },
    ]);
  });

  it('ends the streams of a workflow that is removed', async () => {
    const gone = newId();
    bus.publish('workflow.removed', { workflowId: gone });
    await settle();
    expect(broadcaster.retired).toEqual([`workflow:${gone}`]);
  });

  it('passes the changes of runs on', async () => {
    const run = await room.runs.last(ANN, workflowId);
    if (run === null) throw new Error('expected a run');
    const changed = { ...run, version: 5, state: 'failed' } as const;
    bus.publish('run.changed', { run: changed }, { coalesceKey: run.id });
    await bus.stop(new AbortController().signal);
    expect(broadcaster.published).toEqual([
      [
        `workflow:${workflowId}`,
        'default',
        { eventType: 'run_update', entity: `run:${run.id}`, version: 5, data: changed },
      ],
    ]);
  });
});
