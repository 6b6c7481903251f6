import '../../../test/support/quiet-logger.js';
import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { settle } from '../../../test/support/fake-clock.js';
import { LiveRoom } from '../../../test/support/live-room.js';
import type { Principal } from '../../auth/index.js';
import type { StreamItem, StreamTopic } from '../../realtime/index.js';
import { RunEventType } from '../gen/flowwatch/v1/stream_service_pb.js';
import { RunSchema, RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import { parseRunStreamId, runStreamKey } from './run-stream-key.js';
import { RunStreams } from './run-streams.js';

interface Published {
  readonly streamKey: string;
  readonly tenantId: string;
  readonly item: StreamItem;
}

function open(): { room: LiveRoom; streams: RunStreams; topic: StreamTopic; published: Published[] } {
  const room = new LiveRoom();
  const topics: StreamTopic[] = [];
  const published: Published[] = [];
  const broadcaster = {
    registerTopic: (topic: StreamTopic) => void topics.push(topic),
    publish: (streamKey: string, tenantId: string, item: StreamItem) =>
      void published.push({ streamKey, tenantId, item }),
  };
  const streams = new RunStreams(room.live, broadcaster, room.clock);
  streams.register();
  return { room, streams, topic: topics[0] as StreamTopic, published };
}

function principal(tenantId = 'default'): Principal {
  return { kind: 'user', id: 'somebody', role: 'viewer', tenantId };
}

async function snapshot({ room, topic }: ReturnType<typeof open>, id: string, tenantId?: string): Promise<string[]> {
  const items = topic.snapshot(principal(tenantId), id);
  await room.clock.advance(500);
  return (await items).map(
    ({ entity, data }) =>
      `${entity} ${(data as { status?: string; state?: string }).status ?? (data as { state?: string }).state}`,
  );
}

describe('the streams of runs', () => {
  it('show what the subsystems have and what changes, to each tenant its own, while somebody reads', async () => {
    const opened = open();
    const { room, topic, published } = opened;
    const billing = room.join({ id: 'billing', runs: 2 }, { tenantId: 'team-a' });
    room.join({ id: 'shipping', runs: 1, old: true }, { tenantId: 'team-b' });
    topic.warmed?.('');
    expect(await snapshot(opened, '', 'team-a')).toEqual([
      '~billing live',
      'billing~billing-run-00000 succeeded',
      'billing~billing-run-00001 succeeded',
    ]);
    expect(await snapshot(opened, '', 'team-b')).toEqual(['~shipping polled', 'shipping~shipping-run-00000 succeeded']);
    expect(await snapshot(opened, '', '*')).toHaveLength(5);
    published.length = 0;
    const run = create(RunSchema, { id: 'billing-run-00001', status: RunStatus.PAUSED });
    billing.services.emitRun({ eventType: RunEventType.UPDATED, run });
    await settle(10);
    expect(published).toMatchObject([
      {
        streamKey: 'gateway-runs',
        tenantId: 'team-a',
        item: {
          eventType: 'gateway_run_update',
          data: { id: 'billing-run-00001', subsystemId: 'billing', status: 'paused' },
        },
      },
    ]);
    const items = await topic.snapshot(principal('*'), '');
    expect(published[0]?.item.version).toBe(Math.max(...items.map(({ version }) => version)));
    topic.cooled?.('');
    await settle(10);
    expect(billing.services.watchers).toBe(0);
    expect(room.clock.pendingTimers).toBe(0);
    expect(await topic.snapshot(principal(), '')).toEqual([]);
  });

  it('share one watch of a filter between tenants', async () => {
    const opened = open();
    const { room, topic, streams } = opened;
    const billing = room.join({ id: 'billing', runs: 5 });
    topic.warmed?.('status=running');
    topic.warmed?.('status=running');
    expect(await snapshot(opened, 'status=running')).toEqual(['~billing live', 'billing~billing-run-00003 running']);
    expect(billing.services.watchers).toBe(1);
    topic.cooled?.('status=running');
    await settle();
    expect(billing.services.watchers).toBe(1);
    await streams.stop();
    expect(billing.services.watchers).toBe(0);
  });

  it('show a run that leaves the filter once more, and then not', async () => {
    const opened = open();
    const { room, topic, published } = opened;
    const billing = room.join({ id: 'billing', runs: 5 });
    topic.warmed?.('status=running');
    await snapshot(opened, 'status=running');
    published.length = 0;
    for (const status of [RunStatus.SUCCEEDED, RunStatus.SUCCEEDED]) {
      billing.services.emitRun({ run: create(RunSchema, { id: 'billing-run-00003', status }) });
      await settle(10);
    }
    expect(published.map(({ item }) => item.data)).toMatchObject([{ id: 'billing-run-00003', status: 'succeeded' }]);
    expect(await snapshot(opened, 'status=running')).toEqual(['~billing live']);
  });

  it('say when a subsystem is missing, and forget the runs of one that has left', async () => {
    const opened = open();
    const { room, topic, published } = opened;
    room.join({ id: 'billing', runs: 1 });
    topic.warmed?.('');
    await snapshot(opened, '');
    published.length = 0;
    room.directory.setState('billing', 'stale');
    await room.clock.advance(1_000);
    room.directory.remove('billing');
    await room.clock.advance(1_000);
    expect(published.map(({ item }) => item.data)).toEqual([
      { subsystemId: 'billing', state: 'missing', reason: 'stale' },
      { subsystemId: 'billing', state: 'removed', reason: null },
    ]);
    expect(await snapshot(opened, '')).toEqual([]);
  });

  it('have one key for one filter, and none for what is no filter', async () => {
    const key = runStreamKey({ workflowId: ['b~ü', 'a'], status: ['running', 'failed', 'running'] });
    expect(key).toBe('gateway-runs:status=failed&status=running&workflowId=a&workflowId=b%7E%C3%BC');
    expect(parseRunStreamId(key.slice(key.indexOf(':') + 1))).toEqual({
      workflowId: ['a', 'b~ü'],
      status: ['failed', 'running'],
      subsystemId: [],
    });
    expect(runStreamKey({})).toBe('gateway-runs');
    const { topic } = open();
    for (const id of ['status=none', 'x=1', 'workflowId=b&workflowId=a', 'workflowId=']) {
      await expect(topic.authorize(principal(), id)).rejects.toMatchObject({
        code: 'request.invalid',
        errors: [{ path: 'key' }],
      });
    }
    await topic.authorize(principal(), '');
  });

  it('are of so many filters at most', async () => {
    const { topic, streams } = open();
    for (let filter = 0; filter < 200; filter += 1) topic.warmed?.(`workflowId=${filter}`);
    await expect(topic.authorize(principal(), 'workflowId=more')).rejects.toMatchObject({ code: 'stream.limit' });
    await topic.authorize(principal(), 'workflowId=7');
    await streams.stop();
  });
});
