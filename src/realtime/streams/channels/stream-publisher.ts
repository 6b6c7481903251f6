import type { Clock } from '../../../runtime/clock.js';
import type { ByteBudget } from './byte-budget.js';
import type { BacklogLimits } from './channel-log.js';
import { ChannelRegistry } from './channel-registry.js';
import { ConcurrencyLimit } from './concurrency-limit.js';
import type { EventOrder } from './event-order.js';
import { ReplayRing } from './replay-ring.js';
import type { StreamChannel } from './stream-channel.js';
import type { StreamEncoder } from '../wire/stream-event.js';
import type { StreamTotals } from '../stream-stats.js';
import type { StreamItem } from '../stream-topic.js';
import type { ResolvedTopic } from '../stream-topics.js';
import type { TurnQueue } from '../sessions/turn-queue.js';

/** Snapshots read at once, whatever comes back at once. */
const MAX_READS = 32;

export interface PublisherOptions {
  readonly replayEvents: number;
  readonly replayBytes: number;
  /** How long a channel can be resumed after its last reader left. */
  readonly replayWindowMs: number;
  readonly encoder: StreamEncoder;
  readonly order: EventOrder;
  readonly budget: ByteBudget;
  /** What may wait for one slow client. */
  readonly limits: BacklogLimits;
  readonly turns: TurnQueue;
  readonly totals: StreamTotals;
  /** More is held for slow clients than may be. */
  readonly relieve: () => void;
  readonly clock: Clock;
  readonly onError: (message: string, streamKey: string, error: unknown) => void;
}

/** What a client that comes back has missed. */
export interface Resumption {
  readonly sequence: number;
  /** Events to replay. */
  readonly missed: number;
  /** It has missed nothing, and nothing will ever follow. */
  readonly isOver: boolean;
}

/** Puts published changes into the warm channels of their keys, and tells what can be resumed from these. */
export class StreamPublisher {
  readonly ring: ReplayRing;
  readonly channels: ChannelRegistry;
  private count = 0;

  constructor(private readonly options: PublisherOptions) {
    const { encoder, budget, limits, turns, order, relieve, totals, clock, onError } = options;
    this.ring = new ReplayRing({ maxEvents: options.replayEvents, maxBytes: options.replayBytes });
    this.channels = new ChannelRegistry(this.ring, options.replayWindowMs, {
      encoder,
      budget,
      limits,
      turns,
      relieve,
      clock,
      reads: new ConcurrencyLimit(MAX_READS),
      nextSequence: () => order.next(),
      onShared: () => (totals.snapshotsShared += 1),
      onReadError: (streamKey, error) => onError('the snapshot of a stream could not be read', streamKey, error),
    });
  }

  /** Changes published so far, read by somebody or not. */
  get published(): number {
    return this.count;
  }

  /** A key that is not warm costs nothing but its place in the order. Never blocks or throws. */
  publish(streamKey: string, tenantId: string, item: StreamItem): void {
    this.count += 1;
    const sequence = this.options.order.next();
    try {
      let frame: Buffer | undefined;
      for (const channel of this.channels.readingOf(streamKey, tenantId)) {
        const coveredBy = channel.versions.publish(item.entity, item.version);
        if (coveredBy === undefined) continue;
        frame ??= this.options.encoder.change(sequence, streamKey, item.eventType, item.data);
        this.append(channel, sequence, item, frame, coveredBy);
      }
    } catch (error) {
      this.options.onError('a stream event could not be published', streamKey, error);
    }
  }

  /** Whether a client that has everything up to the sequence can go on from there; if not, it needs a snapshot. */
  resumption(topics: readonly ResolvedTopic[], tenantId: string, sequence: number): Resumption | undefined {
    if (sequence > this.options.order.newest) return undefined;
    let missed = 0;
    let isOver = true;
    for (const { streamKey } of topics) {
      const channel = this.channels.of(streamKey).find((each) => each.tenantId === tenantId);
      const count = channel?.countAfter(sequence);
      if (channel === undefined || count === undefined) return undefined;
      missed += count;
      isOver &&= count === 0 && channel.isFinalAt(sequence);
    }
    return { sequence, missed, isOver };
  }

  private append(
    channel: StreamChannel,
    sequence: number,
    { entity, version, final = false }: StreamItem,
    frame: Buffer,
    coveredBy: number,
  ): void {
    const keeper = channel.log;
    const event = { sequence, entity, version, final, frame, coveredBy, superseded: false, keeper };
    if (channel.append(event)) this.options.turns.add(channel.flush());
    this.ring.push(event);
    this.options.relieve();
  }
}
