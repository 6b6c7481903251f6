import { type ServerHttp2Stream, constants } from 'node:http2';
import type { Clock, Timer } from '../runtime/clock.js';

/** How long a client may take to end its request when it has its whole answer. */
export const LINGER_MS = 1_000;

/**
 * Ends a stream whose answer is complete though its client never ends the request: RFC 9113, section 8.1. The answer is
 * never cut short: the reset follows only what has left with its last frame.
 */
export function endWhenAnswered(stream: ServerHttp2Stream, clock: Clock): void {
  stream.once('finish', () => {
    // What was read to its end need not be asked after: the state of a stream is dear.
    if (stream.destroyed || stream.readableEnded || stream.state.remoteClose === 1) return;
    let timer: Timer | undefined;
    const look = (): void => {
      if (stream.destroyed) return;
      if (stream.state.localClose === 1) {
        stream.close(constants.NGHTTP2_NO_ERROR);
        // What came of the request and nobody reads would keep it, too.
        stream.resume();
      } else timer = clock.after(LINGER_MS, look, { unref: true });
    };
    timer = clock.after(LINGER_MS, look, { unref: true });
    stream.once('close', () => timer?.cancel());
  });
}
