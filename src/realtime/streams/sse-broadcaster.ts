import type { ServerResponse } from 'node:http';
import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../../auth/principal.js';
import { AppError } from '../../errors/app-error.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { PeriodicTask } from '../../runtime/periodic-task.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import type { Runnable } from '../../runtime/runnable.js';
import { type RealtimeConfig, realtimeConfig } from '../realtime.config.js';
import { ByteBudget } from './channels/byte-budget.js';
import { parseEventId } from './wire/event-id.js';
import { EventOrder } from './channels/event-order.js';
import { RevokedSessions } from './sessions/revoked-sessions.js';
import { SessionKeeper } from './sessions/session-keeper.js';
import { SlowSessions } from './sessions/slow-sessions.js';
import { openEventStream } from './wire/sse-response.js';
import { drainSessions } from './sessions/stream-drain.js';
import { StreamEncoder } from './wire/stream-event.js';
import { StreamPublisher } from './channels/stream-publisher.js';
import { type Refusal, StreamRefusals } from './stream-refusals.js';
import { type StreamStats, noTotals } from './stream-stats.js';
import type { StreamItem, StreamTopic } from './stream-topic.js';
import { type ResolvedTopic, StreamTopics } from './stream-topics.js';
import { TurnQueue } from './sessions/turn-queue.js';

export type { StreamStats };

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

/**
 * Server-sent events: hands each published change to every client of its stream key.
 *
 * A change is encoded once, whoever reads it, and written once a turn. `publish` never waits for a client: clients read
 * at their own pace from what their channels keep, and resume from it when they come back.
 */
@Injectable()
export class SseBroadcaster implements Runnable {
  readonly name = 'event streams';
  private readonly log = new Logger(SseBroadcaster.name);
  private readonly topics = new StreamTopics();
  private readonly totals = noTotals();
  private readonly order = new EventOrder();
  private readonly budget: ByteBudget;
  private readonly slow: SlowSessions;
  private readonly encoder: StreamEncoder;
  private readonly refusals: StreamRefusals;
  private readonly publisher: StreamPublisher;
  private readonly sessions: SessionKeeper;
  private readonly ticks: PeriodicTask;
  private draining = false;

  constructor(
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
    @Inject(realtimeConfig.token) private readonly config: RealtimeConfig,
  ) {
    const now = (): number => clock.monotonic();
    const onError = (error: unknown): void => this.log.error({ message: 'a stream could not be written', error });
    const turns = new TurnQueue(now, onError);
    this.budget = new ByteBudget(config.streamBudgetBytes);
    this.slow = new SlowSessions(this.budget);
    this.encoder = new StreamEncoder(random.bytes(6).toString('hex'), () => clock.now());
    this.refusals = new StreamRefusals(this.encoder, random, config.streamRetryMs);
    const limits = { maxEvents: config.streamQueueEvents, maxBytes: config.streamQueueBytes };
    const shared = { encoder: this.encoder, order: this.order, totals: this.totals, limits, turns, now };
    this.publisher = new StreamPublisher({
      ...shared,
      clock,
      replayEvents: config.streamReplayEvents,
      replayBytes: config.streamReplayBytes,
      replayWindowMs: config.streamReplayWindowMs,
      budget: this.budget,
      relieve: () => this.slow.relieve(),
      onError: (message, streamKey, error) => this.log.error({ message, streamKey, error }),
    });
    this.sessions = new SessionKeeper(clock, this.publisher.channels, {
      ...shared,
      keepAliveMs: config.streamKeepAliveMs,
      stallMs: config.streamStallMs,
      slow: this.slow,
      onError,
    });
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
    this.publisher.publish(streamKey, tenantId, item);
  }

  /**
   * The topics of the keys, all of which the principal may read; throws `resource.not_found` otherwise. With `dropGone`
   * some may be missing, as long as one is left.
   */
  authorize(
    principal: Principal,
    streamKeys: readonly string[],
    options: { readonly dropGone?: boolean } = {},
  ): Promise<readonly ResolvedTopic[]> {
    return this.topics.authorize(principal, streamKeys, options.dropGone ?? false);
  }

  /**
   * Makes the response a stream of the topics: the snapshot of each, or what followed the last event that the client
   * had, then their changes, until the client leaves, its time is over, nothing can follow or the service stops. Throws
   * `stream.limit`, before the first byte, if the principal has too many.
   */
  open(
    response: ServerResponse,
    principal: Principal,
    topics: readonly ResolvedTopic[],
    options: OpenOptions = {},
  ): void {
    const { onStarted, onClosed, lastEventId, ...rest } = options;
    if (response.destroyed || response.req.socket.destroyed) {
      onClosed?.();
      return;
    }
    if (this.draining) {
      this.refuse(response, 'shutdown');
      onStarted?.();
      onClosed?.();
      return;
    }
    const isHead = response.req.method === 'HEAD';
    // Who asks for the head only takes nobody's place.
    if (options.connection !== undefined && !isHead) this.sessions.cut(options.connection);
    this.assertRoomFor(principal);
    const sequence = parseEventId(lastEventId, this.encoder.epoch);
    const resumption =
      sequence === undefined ? undefined : this.publisher.resumption(topics, principal.tenantId, sequence);
    if (resumption?.isOver) this.refusals.ended(response);
    else openEventStream(response, this.refusals.retryMs());
    if (resumption?.isOver || isHead) {
      onClosed?.();
      return;
    }
    // Jittered, so that clients which connected at once do not come back at once.
    const maxAgeMs = this.config.streamMaxAgeMs * (0.9 + 0.2 * this.random.float());
    const session = { response, principal, topics, maxAgeMs, onStarted, onClosed, ...rest };
    this.sessions.begin(session, resumption);
  }

  /**
   * Answers a stream that cannot be served now: an EventSource never comes back after a 429 or 503, so it gets 200, a
   * time to come back, the reason as an event, and the end.
   */
  refuse(response: ServerResponse, reason: Refusal): void {
    this.refusals.refuse(response, reason);
  }

  /** What the key named is gone: streams that carry nothing else end cleanly after what waits, and a reconnect meets 404. */
  retire(streamKey: string): void {
    for (const { readers } of this.publisher.channels.of(streamKey)) {
      for (const reader of readers) reader.finish();
    }
  }

  /** Cuts the streams of those for whom it is not true any more. Rejects when `stands` does. */
  cutRevoked(stands: (principal: Principal) => Promise<boolean>): Promise<void> {
    return new RevokedSessions(this.sessions.registry, stands).sweep();
  }

  start(): Promise<void> {
    return this.ticks.start();
  }

  /**
   * Says goodbye on every stream and ends it, over at most `spreadMs` if they are many; cuts at the deadline what did not
   * take it. Resolves when none is left.
   */
  async stop(deadline: AbortSignal, spreadMs = this.config.streamDrainSpreadMs): Promise<void> {
    this.draining = true;
    await drainSessions(this.sessions.registry, this.clock, deadline, {
      spreadMs,
      end: (session) => session.end((position) => this.refusals.goodbye(position, 'shutdown')),
    });
    await this.ticks.stop();
  }

  stats(): StreamStats {
    const { published, channels, ring } = this.publisher;
    return {
      ...this.sessions.stats(),
      slowSessions: this.slow.size,
      published,
      queuedBytes: this.budget.usedBytes,
      budgetBytes: this.budget.maxBytes,
      warmKeys: channels.size,
      replayEvents: ring.length,
      replayBytes: ring.bytes,
      replayEvicted: ring.evicted,
      totals: { ...this.totals },
    };
  }

  private tick(): void {
    this.slow.tidy();
    this.publisher.channels.sweep();
    this.sessions.tick();
  }

  private assertRoomFor(principal: Principal): void {
    if (this.sessions.registry.countOf(principal) < this.config.streamsPerPrincipal) return;
    throw new AppError(
      'stream.limit',
      `"${principal.id}" has ${this.config.streamsPerPrincipal} streams open; close one, or raise CROWSNEST_STREAMS_PER_PRINCIPAL`,
      { headers: { 'Retry-After': String(Math.ceil(this.refusals.retryMs() / 1_000)) } },
    );
  }
}
