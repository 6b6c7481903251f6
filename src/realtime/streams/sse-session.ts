import type { Writable } from 'node:stream';
import { type Principal, isInScope } from '../../auth/principal.js';
import type { ByteBudget } from './byte-budget.js';
import { CoalescingQueue, type QueueLimits } from '../coalescing-queue.js';
import { EntityVersions } from './entity-versions.js';
import { snapshotParts } from './snapshot-parts.js';
import { SseConnection } from './sse-connection.js';
import { encodeComment } from './sse-frame.js';
import type { StreamEncoder, StreamEvent } from './stream-event.js';
import type { ResolvedTopic } from './stream-topics.js';

/** What the sessions of a process have in common. */
export interface SessionContext {
  readonly encoder: StreamEncoder;
  readonly limits: QueueLimits;
  readonly keepAliveMs: number;
  readonly stallMs: number;
  readonly budget: ByteBudget;
  readonly totals: SessionTotals;
  /** Sequence of the newest event of the process. */
  readonly sequence: () => number;
  /** Milliseconds on a monotonic clock. */
  readonly now: () => number;
}

/** Counted over all sessions, also those that have ended. */
export interface SessionTotals {
  events: number;
  bytes: number;
  snapshots: number;
  lagged: number;
  dropped: number;
  coalesced: number;
  stalled: number;
}

export interface SessionHooks {
  /** Something waits to be written: call `flush` at the end of this turn. */
  readonly onPending: (session: SseSession) => void;
  readonly onSnapshotError: (error: unknown) => void;
  readonly onClose: (session: SseSession) => void;
}

/** Events that wait together are written as one buffer up to this size. */
const BATCH_BYTES = 16 * 1_024;
const KEEP_ALIVE_COMMENT = encodeComment('keep-alive');

/**
 * One client, on one or many stream keys.
 *
 * Joining: it is registered first, so that changes queue up, then the snapshot of each key is read and written as fast
 * as the client takes it; changes that a snapshot shows already are then removed from the queue. Live: what is queued
 * is written once a turn while the client takes it. A client for which too much waits is lagging: its queue is given
 * up, and as soon as it takes bytes again it is told how many events it missed and joins anew.
 */
export class SseSession {
  private readonly connection: SseConnection;
  private readonly queue: CoalescingQueue<StreamEvent>;
  private readonly versions = new EntityVersions();
  private joining = false;
  private lagging = false;
  private dropped = 0;
  private budgeted = 0;
  private readonly endsAtMs: number;
  /** Sequence up to which the client has everything; 0 while only a snapshot can bring it there. */
  private position = 0;

  constructor(
    output: Writable,
    readonly principal: Principal,
    readonly topics: readonly ResolvedTopic[],
    maxAgeMs: number,
    private readonly context: SessionContext,
    private readonly hooks: SessionHooks,
  ) {
    this.endsAtMs = context.now() + maxAgeMs;
    this.queue = new CoalescingQueue(context.limits);
    this.connection = new SseConnection(
      output,
      context.now,
      () => this.flush(),
      () => this.closed(),
    );
  }

  get queuedEvents(): number {
    return this.queue.length;
  }

  /** Sends the snapshots. Called once the session gets the events of its keys. */
  start(): void {
    void this.join();
  }

  /** Takes an event of one of its keys. Never blocks or throws. */
  offer(event: StreamEvent): void {
    if (this.connection.isOver || !isInScope(this.principal, event.tenantId)) return;
    if (this.lagging) {
      this.countDropped(1);
      return;
    }
    if (!this.versions.advance(event.streamKey, event.entity, event.version)) return;
    // A burst within one turn must not look like a slow client.
    if (!this.joining && !this.queue.hasRoom(event.frame.length)) this.flush();
    const held = this.joining || !this.connection.writable;
    const affordable = !held || this.context.budget.allows(event.frame.length);
    const { coalesced } = this.queue;
    const queued = affordable && this.queue.offer(event, event.coalesceKey, event.frame.length);
    this.context.totals.coalesced += this.queue.coalesced - coalesced;
    if (!queued) this.lag();
    this.account();
    if (!held) this.hooks.onPending(this);
  }

  /** Writes what waits, while the client takes it. */
  flush(): void {
    if (this.joining || !this.connection.writable) return;
    if (this.lagging) {
      void this.join();
      return;
    }
    while (this.connection.writable && this.queue.length > 0) this.writeBatch();
    this.account();
  }

  /** Cuts a client that takes nothing, ends an old stream, keeps an idle one alive. Called about once a second. */
  tick(heartbeat: () => Buffer): void {
    if (this.connection.isStalled(this.context.stallMs)) {
      this.context.totals.stalled += 1;
      this.connection.destroy();
      return;
    }
    if (this.context.now() >= this.endsAtMs) this.end();
    if (!this.connection.writable || this.connection.idleMs < this.context.keepAliveMs) return;
    // The heartbeat carries the newest id, so it may only go to a client that has everything up to it.
    if (this.joining || this.lagging || this.queue.length > 0) this.write(KEEP_ALIVE_COMMENT);
    else this.write(heartbeat());
  }

  /** Ends the stream cleanly after what waits, with a last event where given, made for the id it can resume from. */
  end(last?: (position: number) => Buffer): void {
    if (this.connection.isOver) return;
    // Bounded by the queue, so it may go out whether or not the client takes it at once.
    if (!this.joining && !this.lagging) while (this.queue.length > 0) this.writeBatch();
    this.account();
    if (last) this.write(last(this.joining || this.lagging ? 0 : this.position));
    this.connection.end();
  }

  /** Cuts the connection. */
  destroy(): void {
    this.connection.destroy();
  }

  private async join(): Promise<void> {
    this.joining = true;
    try {
      this.tellLag();
      await this.sendSnapshots();
      this.joining = false;
      this.flush();
    } catch (error) {
      // The client connects again and gets its snapshot then.
      this.hooks.onSnapshotError(error);
      this.end();
    }
  }

  private async sendSnapshots(): Promise<void> {
    this.position = 0;
    const sequence = this.context.sequence();
    for (const { streamKey } of this.topics) this.versions.forget(streamKey);
    for (const [index, topic] of this.topics.entries()) {
      if (this.connection.isOver) return;
      const items = await topic.snapshot(this.principal);
      const shown = new Map(items.map((item) => [item.entity, item.version]));
      for (const [entity, version] of shown) this.versions.advance(topic.streamKey, entity, version);
      this.queue.remove(
        (event) => event.streamKey === topic.streamKey && event.version <= (shown.get(event.entity) ?? -Infinity),
      );
      this.account();
      const lastTopic = index === this.topics.length - 1;
      for (const part of snapshotParts(items)) {
        await this.connection.ready();
        if (this.connection.isOver) return;
        // Only with the very last part has the client a state that it could resume from.
        if (lastTopic && part.last) this.position = sequence;
        this.write(this.context.encoder.event(this.position, topic.streamKey, 'snapshot', part));
      }
      this.context.totals.snapshots += 1;
    }
  }

  private lag(): void {
    this.countDropped(this.queue.clear() + 1);
    this.lagging = true;
  }

  private tellLag(): void {
    if (!this.lagging) return;
    this.write(this.context.encoder.control(0, 'lagged', { dropped: this.dropped }));
    this.context.totals.lagged += 1;
    this.dropped = 0;
    this.lagging = false;
  }

  private countDropped(count: number): void {
    this.dropped += count;
    this.context.totals.dropped += count;
  }

  private writeBatch(): void {
    const frames: Buffer[] = [];
    let bytes = 0;
    for (let next = this.queue.peek(); next; next = this.queue.peek()) {
      if (frames.length > 0 && bytes + next.frame.length > BATCH_BYTES) break;
      this.queue.shift();
      frames.push(next.frame);
      bytes += next.frame.length;
      this.position = next.sequence;
    }
    this.context.totals.events += frames.length;
    const [first] = frames;
    if (first) this.write(frames.length === 1 ? first : Buffer.concat(frames, bytes));
  }

  private write(bytes: Buffer): void {
    this.context.totals.bytes += bytes.length;
    this.connection.write(bytes);
  }

  /** Tells the budget how much the queue holds now. */
  private account(): void {
    this.context.budget.add(this.queue.bytes - this.budgeted);
    this.budgeted = this.queue.bytes;
  }

  private closed(): void {
    this.queue.clear();
    this.account();
    this.hooks.onClose(this);
  }
}
