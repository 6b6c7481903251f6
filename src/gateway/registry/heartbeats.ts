import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { Clock, Timer } from '../../runtime/clock.js';
import { type GatewayMessage, GatewayMessageSchema } from '../gen/flowwatch/v1/gateway_service_pb.js';

/** One ping, shared by all streams that are pinged at the same moment. */
export interface Heartbeat {
  /** Wall-clock time, which the ping carries. */
  readonly millis: number;
  /** On the monotonic clock. */
  readonly sentAt: number;
  readonly ping: GatewayMessage;
}

export interface Pinged {
  /** Must not throw. */
  beat(heartbeat: Heartbeat): void;
}

/** Those due within this part of a heartbeat are pinged together: one timer and one message for many. */
const TOGETHER = 1 / 40;

/** Pings each stream once in a heartbeat, with one timer for all. */
export class Heartbeats {
  /** When each is due; all wait equally long, so the order in which they were put in is the order in which they are due. */
  private readonly due = new Map<Pinged, number>();
  private timer: Timer | undefined;

  constructor(
    private readonly heartbeatMs: number,
    private readonly clock: Clock,
  ) {}

  /** The first ping comes after one heartbeat. */
  add(pinged: Pinged): void {
    this.due.set(pinged, this.clock.monotonic() + this.heartbeatMs);
    this.timer ??= this.clock.after(this.heartbeatMs, this.tick);
  }

  remove(pinged: Pinged): void {
    this.due.delete(pinged);
    if (this.due.size > 0) return;
    this.timer?.cancel();
    this.timer = undefined;
  }

  private readonly tick = (): void => {
    const sentAt = this.clock.monotonic();
    const millis = Math.floor(this.clock.now());
    const value = { timestamp: timestampFromMs(millis) };
    const heartbeat = { millis, sentAt, ping: create(GatewayMessageSchema, { msg: { case: 'ping', value } }) };
    const until = sentAt + this.heartbeatMs * TOGETHER;
    this.timer = undefined;
    for (const [pinged, at] of this.due) {
      if (at > until) break;
      this.due.delete(pinged);
      this.due.set(pinged, sentAt + this.heartbeatMs);
      pinged.beat(heartbeat);
    }
    const [next] = this.due.values();
    if (next !== undefined) this.timer = this.clock.after(next - sentAt, this.tick);
  };
}
