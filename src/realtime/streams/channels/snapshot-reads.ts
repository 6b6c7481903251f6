import type { Principal } from '../../../auth/principal.js';
import type { Clock } from '../../../runtime/clock.js';
import type { ByteBudget } from './byte-budget.js';
import { ChannelSnapshot } from './channel-snapshot.js';
import type { ConcurrencyLimit } from './concurrency-limit.js';
import type { StreamEncoder } from '../wire/stream-event.js';
import { type StreamItem, isFinal } from '../stream-topic.js';
import type { ResolvedTopic } from '../stream-topics.js';
import type { TurnQueue } from '../sessions/turn-queue.js';

/** A read that hangs must not keep the others of its channel waiting for ever. */
const READ_TIMEOUT_MS = 30_000;

export interface SnapshotReadsContext {
  readonly clock: Clock;
  readonly encoder: StreamEncoder;
  readonly budget: ByteBudget;
  readonly turns: TurnQueue;
  /** Reads of all channels at once. */
  readonly reads: ConcurrencyLimit;
  /** A new place in the order of the process, for the begin of a read. */
  readonly nextSequence: () => number;
  /** More is held than may be. */
  readonly relieve: () => void;
  readonly onReadError: (streamKey: string, error: unknown) => void;
  readonly onShared: () => void;
}

/** One that waits for a snapshot. */
export interface SnapshotReader {
  readonly principal: Principal;
  /** The read begins: of what is published from now on, it will need all that the snapshot does not show. */
  snapshotBegins(read: number): void;
  snapshotReady(snapshot: ChannelSnapshot): void;
  snapshotFailed(): void;
}

export interface SnapshotRequest {
  readonly reader: SnapshotReader;
  cancelled: boolean;
}

/**
 * The snapshot reads of one channel, one at a time. All that wait when one begins share it; who comes later waits for
 * the next one, because a read shows nothing for certain that was stored after its begin.
 */
export class SnapshotReads {
  private waiting: SnapshotRequest[] = [];
  private reading = false;

  constructor(
    private readonly topic: ResolvedTopic,
    private readonly context: SnapshotReadsContext,
    private readonly observe: (read: number, items: readonly StreamItem[]) => void,
  ) {}

  /** One snapshot for the reader, or none once the request is cancelled. */
  request(reader: SnapshotReader): SnapshotRequest {
    const request = { reader, cancelled: false };
    this.waiting.push(request);
    if (!this.reading) void this.run();
    return request;
  }

  private async run(): Promise<void> {
    this.reading = true;
    while (this.waiting.length > 0) await this.context.reads.run(() => this.readOnce());
    this.reading = false;
  }

  private async readOnce(): Promise<void> {
    const requests = this.waiting.filter(({ cancelled }) => !cancelled);
    this.waiting = [];
    const [first] = requests;
    if (!first) return;
    const read = this.context.nextSequence();
    for (const { reader } of requests) reader.snapshotBegins(read);
    try {
      const items = await this.inTime(this.topic.snapshot(first.reader.principal));
      this.observe(read, items);
      this.context.turns.add(this.deliver(items, requests));
    } catch (error) {
      this.fail(requests, error);
    }
  }

  private async inTime<T>(read: Promise<T>): Promise<T> {
    const late = Promise.withResolvers<never>();
    const giveUp = (): void => late.reject(new Error(`the read took more than ${READ_TIMEOUT_MS} ms`));
    const timer = this.context.clock.after(READ_TIMEOUT_MS, giveUp, { unref: true });
    try {
      return await Promise.race([read, late.promise]);
    } finally {
      timer.cancel();
    }
  }

  private *deliver(items: readonly StreamItem[], requests: readonly SnapshotRequest[]): Generator<void> {
    const snapshot = new ChannelSnapshot(isFinal(items), this.context.encoder, this.context.budget);
    snapshot.hold();
    try {
      yield* snapshot.encode(this.topic.streamKey, items);
    } catch (error) {
      this.fail(requests, error);
      snapshot.release();
      return;
    }
    let served = 0;
    for (const { reader, cancelled } of requests) {
      if (cancelled) continue;
      reader.snapshotReady(snapshot);
      served += 1;
      if (served > 1) this.context.onShared();
      yield;
    }
    snapshot.release();
    this.context.relieve();
  }

  private fail(requests: readonly SnapshotRequest[], error: unknown): void {
    this.context.onReadError(this.topic.streamKey, error);
    for (const { reader, cancelled } of requests) if (!cancelled) reader.snapshotFailed();
  }
}
