import { expect } from '@jest/globals';
import type { Principal } from '../../src/auth/principal.js';
import { realtimeConfig } from '../../src/realtime/realtime.config.js';
import { SseBroadcaster } from '../../src/realtime/streams/sse-broadcaster.js';
import type { StreamStats } from '../../src/realtime/streams/stream-stats.js';
import type { StreamItem, StreamTopic } from '../../src/realtime/streams/stream-topic.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import { configDefaults } from './config-defaults.js';
import { FakeClock, settle } from './fake-clock.js';
import { FakeStreamClient } from './fake-stream-client.js';
import { StreamOracle } from './fake-stream-oracle.js';

const VIEWER: Principal = { kind: 'user', id: 'eve', role: 'viewer', tenantId: 'default' };
export const WORLD_KEYS = ['workflow:1', 'workflow:2'] as const;
export const ENTITIES = ['a', 'b', 'c', 'd', 'e', 'f'] as const;
export type WorldKey = (typeof WORLD_KEYS)[number];

export type WorldStep =
  | 'read'
  | 'turn'
  | 'rest'
  | 'restart'
  | { readonly store: string; readonly key: WorldKey }
  | { readonly publish: number }
  | { readonly burst: number; readonly of: number; readonly key: WorldKey }
  | { readonly connect: number }
  | { readonly cut: number; readonly share: number }
  | { readonly stick: number }
  | { readonly release: number }
  | { readonly readOnce: number }
  | { readonly wait: number };

export interface WorldSettings {
  readonly queueEvents: number;
  readonly replayEvents: number;
  readonly budgetBytes: number;
  readonly clientKeys: readonly (readonly WorldKey[])[];
}

/** Stored state that changes, is published later and in any order, and is read slowly; survives a restart. */
class StoredState implements StreamTopic {
  readonly prefix = 'workflow';
  readonly state = new Map<WorldKey, Map<string, number>>(WORLD_KEYS.map((key) => [key, new Map()]));
  /** Versions in the order of publication since the last restart. */
  published: { key: WorldKey; entity: string; version: number }[] = [];
  private underway: { key: WorldKey; entity: string; version: number }[] = [];
  private reads: (() => void)[] = [];

  authorize(): Promise<void> {
    return Promise.resolve();
  }

  async snapshot(_: Principal, id: string): Promise<readonly StreamItem[]> {
    await new Promise<void>((resolve) => this.reads.push(resolve));
    const entities = this.state.get(`workflow:${id}` as WorldKey) ?? new Map<string, number>();
    return [...entities].map(([entity, version]) => itemOf(entity, version));
  }

  store(key: WorldKey, entity: string): void {
    const entities = this.state.get(key) ?? new Map<string, number>();
    const version = (entities.get(entity) ?? 0) + 1;
    entities.set(entity, version);
    this.underway.push({ key, entity, version });
  }

  publish(index: number, broadcaster: SseBroadcaster): boolean {
    const [change] = this.underway.splice(index % Math.max(1, this.underway.length), 1);
    if (!change) return false;
    this.published.push(change);
    broadcaster.publish(change.key, 'default', itemOf(change.entity, change.version));
    return true;
  }

  read(): boolean {
    const resolve = this.reads.shift();
    resolve?.();
    return resolve !== undefined;
  }

  /** The process ends: what it had not published yet it never will. */
  restart(): void {
    this.underway = [];
    this.published = [];
    this.reads = [];
  }
}

function itemOf(entity: string, version: number): StreamItem {
  return { eventType: 'node_update', entity, version, data: { entity, version } };
}

/** A client over all its connections. */
interface WorldClient {
  readonly keys: readonly WorldKey[];
  readonly oracle: StreamOracle;
  connection: FakeStreamClient | undefined;
}

/** A service whose clients come, go, get stuck and come back, while the state that they follow changes. */
export class StreamWorld {
  private readonly source = new StoredState();
  private readonly clients: readonly WorldClient[];
  private readonly past: StreamStats[] = [];
  private clock = new FakeClock();
  private broadcaster: SseBroadcaster;

  constructor(private readonly settings: WorldSettings) {
    this.clients = settings.clientKeys.map((keys) => ({ keys, oracle: new StreamOracle(), connection: undefined }));
    this.source.store('workflow:1', 'a');
    this.broadcaster = this.begin();
  }

  async run(script: readonly WorldStep[]): Promise<void> {
    for (const step of script) await this.take(step);
  }

  /** Lets everything come to rest, with all clients connected, and checks what they know. */
  async finish(): Promise<readonly StreamStats[]> {
    while (this.source.publish(0, this.broadcaster));
    for (const client of this.clients) client.connection?.release();
    await this.rest();
    for (const client of this.clients) {
      await this.connect(client);
      client.connection?.release();
    }
    await this.rest();
    await this.clock.advance(1_000);
    const stats = this.broadcaster.stats();
    for (const client of this.clients) {
      const { keys, oracle } = client;
      this.look(client);
      for (const key of keys) {
        expect(oracle.stateOf(key)).toEqual(this.source.state.get(key));
        // Beyond the ring only the newest states are kept for a client that waits.
        if (stats.replayEvicted === 0) oracle.expectWhole(key, this.source.published);
      }
    }
    for (const client of this.clients) client.connection?.destroy();
    await settle();
    expect(this.broadcaster.stats()).toMatchObject({ sessions: 0, queuedBytes: 0 });
    await this.broadcaster.stop(new AbortController().signal);
    return [...this.past, stats];
  }

  private begin(): SseBroadcaster {
    const { queueEvents, replayEvents, budgetBytes } = this.settings;
    const config = configDefaults(realtimeConfig, {
      streamQueueEvents: queueEvents,
      streamReplayEvents: replayEvents,
      streamBudgetBytes: budgetBytes,
      streamStallMs: 86_400_000,
    });
    const broadcaster = new SseBroadcaster(this.clock, new CryptoRandom(), config);
    broadcaster.registerTopic(this.source);
    void broadcaster.start();
    return broadcaster;
  }

  private async take(step: WorldStep): Promise<void> {
    if (step === 'turn') await settle(1);
    else if (step === 'read') this.source.read();
    else if (step === 'rest') await this.rest();
    else if (step === 'restart') await this.restart();
    else if ('store' in step) this.source.store(step.key, step.store);
    else if ('burst' in step) await this.burst(step);
    else if ('publish' in step) this.source.publish(step.publish, this.broadcaster);
    else if ('wait' in step) await this.wait(step.wait);
    else if ('connect' in step) await this.connect(this.clients[step.connect]);
    else if ('cut' in step) this.cut(this.clients[step.cut], step.share);
    else if ('stick' in step) this.stick(this.clients[step.stick]);
    else if ('release' in step) this.clients[step.release]?.connection?.release();
    else this.clients[step.readOnce]?.connection?.readOnce();
  }

  /** Many changes of a few entities, each in a turn of its own. */
  private async burst({ key, burst, of }: { key: WorldKey; burst: number; of: number }): Promise<void> {
    for (let change = 0; change < burst; change += 1) {
      this.source.store(key, ENTITIES[change % of] ?? 'a');
      this.source.publish(change, this.broadcaster);
      await settle(1);
    }
  }

  /** A change is minutes on its way at most. */
  private async wait(ms: number): Promise<void> {
    if (ms >= 100_000) while (this.source.publish(0, this.broadcaster));
    await this.clock.advance(ms);
  }

  private async connect(client: WorldClient | undefined): Promise<void> {
    if (!client || (client.connection && !client.connection.writableFinished && !client.connection.destroyed)) return;
    this.look(client);
    const { lastEventId } = client.oracle;
    const connection = new FakeStreamClient(1);
    const topics = await this.broadcaster.authorize(VIEWER, client.keys);
    client.connection = connection;
    client.oracle.connected();
    this.broadcaster.open(connection.response, VIEWER, topics, lastEventId === '' ? {} : { lastEventId });
  }

  private cut(client: WorldClient | undefined, share: number): void {
    if (!client?.connection) return;
    client.connection.cut(share);
    this.look(client);
    client.connection = undefined;
  }

  private stick(client: WorldClient | undefined): void {
    client?.connection?.stick();
    client?.oracle.wasSlow();
  }

  /** Whatever came on the present connection, once. */
  private look(client: WorldClient): void {
    if (!client.connection) return;
    for (const event of client.connection.parser.events.splice(0)) client.oracle.see(event);
  }

  private async restart(): Promise<void> {
    this.past.push(this.broadcaster.stats());
    for (const client of this.clients) this.cut(client, 1);
    await settle();
    await this.broadcaster.stop(new AbortController().signal);
    this.source.restart();
    this.clock = new FakeClock();
    this.broadcaster = this.begin();
  }

  /** Reads and writes all that can be. */
  private async rest(): Promise<void> {
    do await settle(4);
    while (this.source.read());
  }
}
