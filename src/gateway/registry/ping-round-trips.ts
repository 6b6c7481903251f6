import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { Heartbeat } from './heartbeats.js';

type SentPing = Pick<Heartbeat, 'millis' | 'sentAt'>;

/** Beyond it the oldest is given up: its subsystem has long been called stale. */
const MAX_OUTSTANDING = 16;
const NONE: readonly SentPing[] = [];

/**
 * Which ping a pong answers. A stream keeps its order, so it is the oldest outstanding one, unless the pong repeats the
 * timestamp of a later one. The Go client does not: it writes its own time.
 */
export class PingRoundTrips {
  private outstanding = NONE;

  sent(ping: SentPing): void {
    this.outstanding = [...this.outstanding, ping].slice(-MAX_OUTSTANDING);
  }

  /** The round-trip time in milliseconds; undefined for a pong that no ping was sent for. */
  answered(timestamp: Timestamp | undefined, at: number): number | undefined {
    const millis = timestamp && Number(timestamp.seconds) * 1_000 + Math.floor(timestamp.nanos / 1e6);
    const echoed = this.outstanding.findIndex((ping) => ping.millis === millis);
    const index = Math.max(0, echoed);
    const ping = this.outstanding[index];
    if (ping === undefined) return undefined;
    this.outstanding = this.outstanding.length === index + 1 ? NONE : this.outstanding.slice(index + 1);
    return at - ping.sentAt;
  }
}
