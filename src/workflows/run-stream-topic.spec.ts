import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import '../../test/support/quiet-logger.js';
import { configDefaults } from '../../test/support/config-defaults.js';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import { FakeStreamClient } from '../../test/support/fake-stream-client.js';
import { newId, openWorkflowRoom, type WorkflowRoom } from '../../test/support/workflow-room.js';
import type { Principal } from '../auth/principal.js';
import { EventBus, SseBroadcaster, realtimeConfig } from '../realtime/index.js';
import { CryptoRandom } from '../runtime/random.js';
import { RunStreamTopic } from './run-stream-topic.js';

const ANN: Principal = { kind: 'user', id: 'ann', role: 'viewer', tenantId: 'default' };

describe('RunStreamTopic', () => {
  let room: WorkflowRoom;
  const config = configDefaults(realtimeConfig);
  const clock = new FakeClock();
  const bus = new EventBus(clock, config);
  const broadcaster = new SseBroadcaster(clock, new CryptoRandom(), config);

  beforeAll(async () => {
    room = await openWorkflowRoom();
    new RunStreamTopic(room.runs, broadcaster, bus);
    await bus.start();
  });
  afterAll(async () => {
    await bus.stop(AbortSignal.abort());
    await room.close();
  });

  async function follow(runId: string, lastEventId?: string): Promise<FakeStreamClient> {
    const client = new FakeStreamClient();
    const topics = await broadcaster.authorize(ANN, [`run:${runId}`]);
    broadcaster.open(client.response, ANN, topics, lastEventId === undefined ? {} : { lastEventId });
    while (client.status !== 204 && client.events.length === 0) await settle(1);
    return client;
  }

  it('knows no run of another tenant, none that is gone, and no nonsense', async () => {
    const runId = await room.addRun(newId(), { tenantId: 'other' });
    for (const id of [runId, newId(), 'nonsense', 'A'.repeat(24)]) {
      await expect(broadcaster.authorize(ANN, [`run:${id}`])).rejects.toMatchObject({ code: 'resource.not_found' });
    }
  });

  it('follows a run to its end, and then lets nobody come back', async () => {
    const workflowId = newId();
    const runId = await room.addRun(workflowId, { state: 'running', active: true });
    const client = await follow(runId);
    expect(client.events[0]?.data.items).toMatchObject([{ eventType: 'run_update', data: { id: runId } }]);
    const run = await room.runs.end(runId, 'succeeded', null, new Date(clock.now()));
    if (run === null) throw new Error('expected a run');
    bus.publish('run.changed', { run }, { coalesceKey: run.id });
    while (!client.writableFinished) await settle(1);
    expect(client.eventTypes).toEqual(['snapshot', 'run_update']);
    expect(client.events[1]?.data).toMatchObject({ id: runId, state: 'succeeded' });
    const again = await follow(runId, client.events.at(-1)?.id);
    expect([again.status, again.events]).toEqual([204, []]);
  });

  it('shows one who comes after the end how it ended, once', async () => {
    const runId = await room.addRun(newId(), { state: 'failed' });
    const client = await follow(runId);
    expect(client.eventTypes).toEqual(['snapshot']);
    expect(client.writableFinished).toBe(true);
    expect((await follow(runId, client.events[0]?.id)).status).toBe(204);
    expect((await follow(runId)).eventTypes).toEqual(['snapshot']);
    // From before a restart: whether it has the end cannot be told, so it gets it.
    expect((await follow(runId, 'abc.17')).eventTypes).toEqual(['snapshot']);
  });
});
