import type { ServerResponse } from 'node:http';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../../auth/principal.js';
import { AppError } from '../../errors/app-error.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { PeriodicTask } from '../../runtime/periodic-task.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import type { Runnable } from '../../runtime/runnable.js';
import { ByteBudget } from './byte-budget.js';
import { type RealtimeConfig, realtimeConfig } from '../realtime.config.js';
import { SessionRegistry } from './session-registry.js';
import { openEventStream } from './sse-response.js';
import { type SessionContext, type SessionTotals, SseSession } from './sse-session.js';
import { StreamEncoder } from './stream-event.js';
import type { StreamItem, StreamTopic } from './stream-topic.js';
import { type ResolvedTopic, StreamTopics } from './stream-topics.js';

/** How often sessions are looked at for heartbeats, stalls and age. */
const TICK_MS = 1_000;

export interface OpenOptions {
  /** Ends the stream cleanly after this time. */
  readonly durationMs?: number;
  /** What the client sent as `Last-Event-ID`, unchecked. Whatever cannot be resumed from begins with a snapshot. */
  readonly lastEventId?: string;
  /** Of two streams with the same name only the newer lives: it cuts the older one. */
  readonly connection?: string;
  /** Called once, when the first event is written. */
  readonly onStarted?: () => void;
  /** Called once, when the response is over, also if it never became a stream; not if `open` throws. */
  readonly onClosed?: () => void;
}

/** Why a stream is refused although its client should come back. */
export type Refusal = 'shutdown' | 'overloaded';

export interface StreamStats {
  readonly sessions: number;
  /** Open streams by the prefix of their keys. */
  readonly sessionsByTopic: Readonly<Record<string, number>>;
  readonly published: number;
  readonly queuedBytes: number;
  readonly queuedEvents: number;
  readonly totals: Readonly<SessionTotals>;
}

/**
 * Server-sent events: hands each published change to every client of its stream key.
 *
 * A change is encoded once, whoever reads it, and written once a turn. `publish` never waits for a client; what becomes
 * of a slow one is the business of its session alone.
 */
@Injectable()
export class SseBroadcaster implements Runnable {
  readonly name = 'event streams';
  private readonly log = new Logger(SseBroadcaster.name);
  private readonly topics = new StreamTopics();
  private readonly sessions = new SessionRegistry();
  private readonly pending = new Set<SseSession>();
  private readonly encoder: StreamEncoder;
  private readonly context: SessionContext;
  private readonly budget: ByteBudget;
  private readonly totals: SessionTotals = {
    events: 0,
    bytes: 0,
    snapshots: 0,
    lagged: 0,
    dropped: 0,
    coalesced: 0,
    stalled: 0,
  };
  private readonly ticks: PeriodicTask;
  private sequence = 0;
  private flushScheduled = false;
  private draining = false;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
    @Inject(realtimeConfig.token) private readonly config: RealtimeConfig,
  ) {
    this.encoder = new StreamEncoder(random.bytes(6).toString('hex'), () => clock.now());
    this.budget = new ByteBudget(config.streamBudgetBytes);
    this.context = {
      encoder: this.encoder,
      keepAliveMs: config.streamKeepAliveMs,
      stallMs: config.streamStallMs,
      limits: { maxItems: config.streamQueueEvents, maxBytes: config.streamQueueBytes },
      budget: this.budget,
      totals: this.totals,
      sequence: () => this.sequence,
      now: () => clock.monotonic(),
    };
    this.ticks = new PeriodicTask({
      name: 'stream keep-alive',
      periodMs: Math.min(TICK_MS, config.streamKeepAliveMs, config.streamStallMs),
      runOnce: () => Promise.resolve(this.tick()),
      onError: (error) => this.log.error({ message: 'keeping streams alive failed', error }),
      clock,
    });
  }

  /** Tells what stands behind the keys of a prefix. Called once for each, before the service starts. */
  registerTopic(topic: StreamTopic): void {
    this.topics.register(topic);
  }

  /** Sends a change, stored already, to whoever reads the key and may see the tenant. Never blocks or throws. */
  publish(streamKey: string, tenantId: string, item: StreamItem): void {
    this.sequence += 1;
    const readers = this.sessions.of(streamKey);
    if (readers.size === 0) return;
    try {
      const event = this.encoder.change(this.sequence, streamKey, tenantId, item);
      for (const session of readers) session.offer(event);
    } catch (error) {
      this.log.error({ message: 'a stream event could not be published', streamKey, eventType: item.eventType, error });
    }
  }

  /** The topics of the keys, all of which the principal may read; throws `resource.not_found` otherwise. */
  async authorize(principal: Principal, streamKeys: readonly string[]): Promise<readonly ResolvedTopic[]> {
    const topics = streamKeys.map((streamKey) => this.topics.resolve(streamKey));
    for (const topic of topics) await topic.authorize(principal);
    return topics;
  }

  /**
   * Makes the response a stream of the topics: a snapshot of each, then their changes, until the client leaves, its
   * time is over or the service stops. Throws `stream.limit`, before the first byte, if the principal has too many.
   */
  open(
    response: ServerResponse,
    principal: Principal,
    topics: readonly ResolvedTopic[],
    options: OpenOptions = {},
  ): void {
    if (response.destroyed || response.req.socket.destroyed) return;
    if (this.draining) {
      this.refuse(response, 'shutdown');
      return;
    }
    if (this.sessions.countOf(principal) >= this.config.streamsPerPrincipal) {
      throw new AppError(
        'stream.limit',
        `"${principal.id}" has ${this.config.streamsPerPrincipal} streams open; close one, or raise CROWSNEST_STREAMS_PER_PRINCIPAL`,
        { headers: { 'Retry-After': String(Math.ceil(this.retryMs() / 1_000)) } },
      );
    }
    openEventStream(response, this.retryMs());
    if (response.req.method === 'HEAD') return;
    // Jittered, so that clients which connected at once do not come back at once.
    const maxAgeMs = this.config.streamMaxAgeMs * (0.9 + 0.2 * this.random.float());
    const session = new SseSession(response, principal, topics, maxAgeMs, this.context, {
      onPending: (each) => this.schedule(each),
      onSnapshotError: (error) => {
        const streamKeys = topics.map((topic) => topic.streamKey);
        this.log.error({ message: 'the snapshot of a stream could not be read', streamKeys, error });
      },
      onClose: () => {
        timer?.cancel();
        this.forget(session);
      },
    });
    const timer =
      options.durationMs === undefined ? undefined : this.clock.after(options.durationMs, () => session.end());
    this.sessions.add(session);
    session.start();
  }

  /**
   * Answers a stream that cannot be served now: an EventSource never comes back after a 429 or 503, so it gets 200, a
   * time to come back, the reason as an event, and the end.
   */
  refuse(response: ServerResponse, reason: Refusal): void {
    const retryMs = this.retryMs();
    openEventStream(response, retryMs);
    if (response.req.method === 'HEAD') return;
    response.end(this.encoder.control(0, reason, { retryMs }, retryMs));
  }

  /** Answers what will never bring anything again with 204, after which an EventSource does not come back. */
  ended(response: ServerResponse): void {
    response.writeHead(204, { 'Cache-Control': 'no-store' }).end();
  }

  /** What the key named is gone: streams that carry nothing else end cleanly after what waits, and a reconnect meets 404. */
  retire(streamKey: string): void {
    for (const session of this.sessions.of(streamKey)) if (session.topics.length === 1) session.end();
  }

  start(): Promise<void> {
    return this.ticks.start();
  }

  /** Says goodbye on every stream and ends it; cuts at the deadline what did not take it. Resolves when none is left. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.draining = true;
    const cut = (): void => {
      for (const session of this.sessions.all()) session.destroy();
    };
    for (const session of this.sessions.all()) {
      const retryMs = this.retryMs();
      session.end((position) => this.encoder.control(position, 'shutdown', { retryMs }, retryMs));
    }
    if (deadline.aborted) cut();
    deadline.addEventListener('abort', cut, { once: true });
    await this.sessions.whenEmpty();
    deadline.removeEventListener('abort', cut);
    await this.ticks.stop();
  }

  stats(): StreamStats {
    let queuedEvents = 0;
    const sessionsByTopic: Record<string, number> = {};
    for (const session of this.sessions.all()) {
      queuedEvents += session.queuedEvents;
      for (const prefix of new Set(session.topics.map((topic) => topic.prefix))) {
        sessionsByTopic[prefix] = (sessionsByTopic[prefix] ?? 0) + 1;
      }
    }
    return {
      sessions: this.sessions.size,
      sessionsByTopic,
      published: this.sequence,
      queuedBytes: this.budget.usedBytes,
      queuedEvents,
      totals: { ...this.totals },
    };
  }

  private schedule(session: SseSession): void {
    this.pending.add(session);
    if (this.flushScheduled) return;
    this.flushScheduled = true;
    setImmediate(() => {
      this.flushScheduled = false;
      const sessions = [...this.pending];
      this.pending.clear();
      for (const each of sessions) each.flush();
    });
  }

  private tick(): void {
    let heartbeat: Buffer | undefined;
    const beat = (): Buffer =>
      (heartbeat ??= this.encoder.control(this.sequence, 'heartbeat', {
        time: new Date(this.clock.now()).toISOString(),
      }));
    for (const session of this.sessions.all()) {
      session.tick(beat);
    }
  }

  private forget(session: SseSession): void {
    this.pending.delete(session);
    this.sessions.remove(session);
  }

  /** Spread over half to one and a half times the setting, so that clients do not come back all at once. */
  private retryMs(): number {
    return Math.round(this.config.streamRetryMs * (0.5 + this.random.float()));
  }
}
