import type { SseConnection } from '../wire/sse-connection.js';
import { encodeComment } from '../wire/sse-frame.js';
import type { StreamTotals } from '../stream-stats.js';

const KEEP_ALIVE_COMMENT = encodeComment('keep-alive');

/** What a session writes to its client, counted. */
export class SessionOutput {
  private isStarted = false;

  /** `onStarted` is called once, when the first event is written. */
  constructor(
    private readonly connection: SseConnection,
    private readonly totals: StreamTotals,
    private readonly onStarted: (() => void) | undefined,
  ) {}

  /** One event or many. Nobody may change the bytes afterwards. */
  event(bytes: Buffer): void {
    this.write(bytes);
    if (this.isStarted) return;
    this.isStarted = true;
    this.onStarted?.();
  }

  /** Shows whoever stands between that the connection lives. */
  keepAlive(): void {
    this.write(KEEP_ALIVE_COMMENT);
  }

  private write(bytes: Buffer): void {
    this.totals.bytes += bytes.length;
    this.connection.write(bytes);
  }
}
