import '../../test/support/quiet-logger.js';
import { describe, expect, it } from '@jest/globals';
import { configDefaults } from '../../test/support/config-defaults.js';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import { FakeStreamClient } from '../../test/support/fake-stream-client.js';
import { FakeStreamTopic } from '../../test/support/fake-stream-topic.js';
import type { Principal } from '../auth/principal.js';
import { CryptoRandom } from '../runtime/random.js';
import { EventBus } from './bus/event-bus.js';
import { realtimeConfig } from './realtime.config.js';
import { RealtimeRunnable } from './realtime.runnable.js';
import { SseBroadcaster } from './streams/sse-broadcaster.js';

const VIEWER: Principal = { kind: 'user', id: 'eve', role: 'viewer', tenantId: 'default' };
const NEVER = new AbortController().signal;

async function setUp() {
  const clock = new FakeClock();
  const config = configDefaults(realtimeConfig);
  const bus = new EventBus(clock, config);
  const broadcaster = new SseBroadcaster(clock, new CryptoRandom(), config);
  const topic = new FakeStreamTopic(broadcaster);
  const runnable = new RealtimeRunnable(bus, broadcaster, clock, config, { shutdownTimeoutMs: 25_000 });
  await runnable.start();
  const client = new FakeStreamClient();
  broadcaster.open(client.response, VIEWER, await broadcaster.authorize(VIEWER, ['workflow:1']));
  await settle();
  return { clock, bus, topic, runnable, client };
}

describe('RealtimeRunnable', () => {
  it('brings to the streams what was published before the stop, then says goodbye', async () => {
    const { clock, bus, topic, runnable, client } = await setUp();
    bus.subscribe('bridge', ['service.started'], async ({ payload: { at } }) => {
      await settle(1);
      topic.change('workflow:1', at);
    });
    bus.publish('service.started', { at: 'a' });
    bus.publish('service.started', { at: 'b' });
    await runnable.stop(NEVER);
    expect(client.eventTypes).toEqual(['snapshot', 'node_update', 'node_update', 'shutdown']);
    expect(clock.pendingTimers).toBe(0);
  });

  it('does not let a handler that hangs take the goodbye of the streams', async () => {
    const { clock, bus, runnable, client } = await setUp();
    bus.subscribe('hangs', ['service.started'], () => Promise.withResolvers<void>().promise);
    bus.publish('service.started', { at: 'a' });
    const stopped = runnable.stop(NEVER);
    await settle();
    expect(client.eventTypes).toEqual(['snapshot']);
    await clock.advance(1_000);
    await stopped;
    expect(client.eventTypes).toEqual(['snapshot', 'shutdown']);
  });
});
