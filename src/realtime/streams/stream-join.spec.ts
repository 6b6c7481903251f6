import '../../../test/support/quiet-logger.js';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { configDefaults } from '../../../test/support/config-defaults.js';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { FakeStreamClient } from '../../../test/support/fake-stream-client.js';
import type { Principal } from '../../auth/principal.js';
import { CryptoRandom } from '../../runtime/random.js';
import { realtimeConfig } from '../realtime.config.js';
import { SseBroadcaster } from './sse-broadcaster.js';
import type { StreamItem, StreamTopic } from './stream-topic.js';

const VIEWER: Principal = { kind: 'user', id: 'eve', role: 'viewer', tenantId: 'default' };
const KEYS = ['workflow:1', 'workflow:2'] as const;
type Key = (typeof KEYS)[number];

/** Stored state that changes, is published later and in any order, and is read slowly. */
class Source implements StreamTopic {
  readonly prefix = 'workflow';
  readonly state = new Map<Key, Map<string, number>>(KEYS.map((key) => [key, new Map()]));
  private readonly unpublished: { key: Key; entity: string; version: number }[] = [];
  private readonly reads: (() => void)[] = [];

  constructor(private readonly broadcaster: SseBroadcaster) {
    broadcaster.registerTopic(this);
  }

  authorize(): Promise<void> {
    return Promise.resolve();
  }

  async snapshot(_: Principal, id: string): Promise<readonly StreamItem[]> {
    await new Promise<void>((resolve) => this.reads.push(resolve));
    const key = KEYS.find((each) => each.endsWith(id)) ?? KEYS[0];
    return [...(this.state.get(key) ?? [])].map(([entity, version]) => itemOf(entity, version));
  }

  store(key: Key, entity: string): void {
    const entities = this.state.get(key) ?? new Map<string, number>();
    const version = (entities.get(entity) ?? 0) + 1;
    entities.set(entity, version);
    this.unpublished.push({ key, entity, version });
  }

  publish(index: number): void {
    const [change] = this.unpublished.splice(index % Math.max(1, this.unpublished.length), 1);
    if (change) this.broadcaster.publish(change.key, 'default', itemOf(change.entity, change.version));
  }

  read(): boolean {
    const resolve = this.reads.shift();
    resolve?.();
    return resolve !== undefined;
  }

  async finish(client: FakeStreamClient): Promise<void> {
    while (this.unpublished.length > 0) this.publish(0);
    client.release();
    do await settle(3);
    while (this.read());
  }
}

function itemOf(entity: string, version: number): StreamItem {
  return { eventType: 'node_update', entity, version, data: { entity, version } };
}

/** What a client knows that does as the documentation says; throws on a repeat or a step back. */
function stateOf(client: FakeStreamClient): Map<string, Map<string, number>> {
  const state = new Map<string, Map<string, number>>();
  let lastSequence = 0;
  let snapshotDue = true;
  for (const { streamKey, eventType, data, id } of client.events) {
    const sequence = Number(id.split('.')[1]);
    if (sequence > 0) {
      expect(sequence).toBeGreaterThanOrEqual(lastSequence);
      lastSequence = sequence;
    }
    if (eventType === 'lagged') {
      expect(data.dropped).toBeGreaterThan(0);
      snapshotDue = true;
    } else if (eventType === 'snapshot') {
      const { part, items } = data as unknown as {
        part: number;
        items: { data: { entity: string; version: number } }[];
      };
      snapshotDue = false;
      const before = state.get(streamKey) ?? new Map<string, number>();
      const after = part === 1 ? new Map<string, number>() : before;
      for (const item of items) {
        expect(item.data.version).toBeGreaterThanOrEqual(before.get(item.data.entity) ?? 0);
        after.set(item.data.entity, item.data.version);
      }
      state.set(streamKey, after);
    } else {
      const { entity, version } = data as { entity: string; version: number };
      expect(snapshotDue).toBe(false);
      expect(version).toBeGreaterThan(state.get(streamKey)?.get(entity) ?? 0);
      state.get(streamKey)?.set(entity, version);
    }
  }
  return state;
}

const step = fc.oneof(
  { weight: 5, arbitrary: fc.record({ store: fc.constantFrom('a', 'b', 'c'), key: fc.constantFrom(...KEYS) }) },
  { weight: 5, arbitrary: fc.record({ publish: fc.nat({ max: 5 }) }) },
  { weight: 2, arbitrary: fc.constant('read' as const) },
  { weight: 3, arbitrary: fc.constant('turn' as const) },
  { weight: 1, arbitrary: fc.constantFrom('stick' as const, 'release' as const, 'read once' as const) },
);

describe('joining a stream', () => {
  it('ends with the state of the source, without gap or repeat, however changes, reads and a slow client interleave', async () => {
    const seen = { lagged: 0, coalesced: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { maxLength: 60 }),
        fc.integer({ min: 1, max: 6 }),
        fc.subarray([...KEYS], { minLength: 1 }),
        async (script, streamQueueEvents, keys) => {
          const config = configDefaults(realtimeConfig, { streamQueueEvents });
          const broadcaster = new SseBroadcaster(new FakeClock(), new CryptoRandom(), config);
          const source = new Source(broadcaster);
          source.store('workflow:1', 'a');
          const client = new FakeStreamClient(1);
          broadcaster.open(client.response, VIEWER, await broadcaster.authorize(VIEWER, keys));
          for (const each of script) {
            if (each === 'turn') await settle(1);
            else if (each === 'read') source.read();
            else if (each === 'stick') client.stick();
            else if (each === 'release') client.release();
            else if (each === 'read once') client.readOnce();
            else if ('publish' in each) source.publish(each.publish);
            else source.store(each.key, each.store);
          }
          await source.finish(client);
          const state = stateOf(client);
          for (const key of keys) expect(state.get(key)).toEqual(source.state.get(key));
          seen.lagged += broadcaster.stats().totals.lagged;
          seen.coalesced += broadcaster.stats().totals.coalesced;
          expect(broadcaster.stats()).toMatchObject({ queuedBytes: 0, queuedEvents: 0 });
        },
      ),
      { numRuns: 400 },
    );
    // The property says nothing unless clients were slow now and then.
    expect(seen.lagged).toBeGreaterThan(10);
    expect(seen.coalesced).toBeGreaterThan(10);
  }, 60_000);
});
