import type { ServerResponse } from 'node:http';
import type { Random } from '../../runtime/random.js';
import { openEventStream } from './wire/sse-response.js';
import type { StreamEncoder } from './wire/stream-event.js';

/** Why a stream is refused although its client should come back. */
export type Refusal = 'shutdown' | 'overloaded';

/** What is answered instead of a stream, and when clients may come back. */
export class StreamRefusals {
  constructor(
    private readonly encoder: StreamEncoder,
    private readonly random: Random,
    private readonly meanRetryMs: number,
  ) {}

  /** Spread over half to one and a half times the setting, so that clients do not come back all at once. */
  retryMs(): number {
    return Math.round(this.meanRetryMs * (0.5 + this.random.float()));
  }

  /** The last event of a stream, after which its client comes back. `position`: the sequence in its id. */
  goodbye(position: number, reason: Refusal): Buffer {
    const retryMs = this.retryMs();
    return this.encoder.control(position, reason, { retryMs }, retryMs);
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
}
