import { isInScope } from '../../../auth/principal.js';
import type { ReplayRing } from './replay-ring.js';
import { type ChannelContext, type ChannelReader, StreamChannel } from './stream-channel.js';
import type { ResolvedTopic } from '../stream-topics.js';

/** Channels that nobody reads any more are kept warm for those who come back, but not more than this. */
const MAX_IDLE = 1_000;

const NONE: readonly StreamChannel[] = [];

/** The warm channels: those with readers, and for a while those that had some. All others cost nothing. */
export class ChannelRegistry {
  private readonly byKey = new Map<string, readonly StreamChannel[]>();
  /** Since when nobody reads them, the longest first. */
  private readonly idle = new Map<StreamChannel, number>();
  private count = 0;

  constructor(
    private readonly ring: ReplayRing,
    private readonly warmMs: number,
    private readonly context: ChannelContext,
  ) {}

  get size(): number {
    return this.count;
  }

  /** The warm channels of the key, whatever their tenant. */
  of(streamKey: string): readonly StreamChannel[] {
    return this.byKey.get(streamKey) ?? NONE;
  }

  /** Those of them that get what belongs to the tenant. */
  *readingOf(streamKey: string, tenantId: string): Generator<StreamChannel> {
    for (const channel of this.of(streamKey)) if (isInScope(channel, tenantId)) yield channel;
  }

  /** The channel of the key as the tenant sees it, warm from now on. */
  warm(topic: ResolvedTopic, tenantId: string): StreamChannel {
    const known = this.of(topic.streamKey).find((channel) => channel.tenantId === tenantId);
    if (known) return known;
    const channel = new StreamChannel(topic, tenantId, this.context);
    this.byKey.set(topic.streamKey, [...this.of(topic.streamKey), channel]);
    this.count += 1;
    topic.warmed();
    return channel;
  }

  enter(channel: StreamChannel, reader: ChannelReader): void {
    channel.readers.add(reader);
    this.idle.delete(channel);
  }

  leave(channel: StreamChannel, reader: ChannelReader): void {
    if (!channel.readers.delete(reader) || channel.readers.size > 0) return;
    this.idle.set(channel, this.context.clock.monotonic());
    if (this.idle.size > MAX_IDLE) this.coolFirst();
  }

  /** Lets go of the channels that were kept warm long enough. Called about once a second. */
  sweep(): void {
    const before = this.context.clock.monotonic() - this.warmMs;
    for (const since of this.idle.values()) {
      if (since > before) break;
      this.coolFirst();
    }
  }

  private coolFirst(): void {
    const [channel] = this.idle.keys();
    if (!channel) return;
    this.idle.delete(channel);
    this.count -= 1;
    for (const event of channel.log.clear()) this.ring.forget(event);
    const others = this.of(channel.streamKey).filter((each) => each !== channel);
    if (others.length > 0) this.byKey.set(channel.streamKey, others);
    else this.byKey.delete(channel.streamKey);
    channel.topic.cooled();
  }
}
