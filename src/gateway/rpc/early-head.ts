import type { OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Clock } from '../../runtime/clock.js';
import type { RpcCall } from './rpc-call.js';

/** So long the headers of a stream wait for its first message, with which it is known best whose part is missing. */
export const HEAD_WAIT_MS = 500;

/**
 * Sends the headers of a stream on which nothing happens yet. Connect's handlers would hold them back until its first
 * message, and its client could not tell a quiet stream from none.
 */
export function sendHeadEarly(call: RpcCall, response: ServerResponse, more: OutgoingHttpHeaders, clock: Clock): void {
  call.streamBegun = (headersOf) => {
    const send = (): void => {
      if (response.headersSent || response.destroyed || response.writableEnded) return;
      const head: OutgoingHttpHeaders = { ...more };
      headersOf().forEach((value, name) => (head[name] = value));
      // A stream of any of the protocols that comes to its messages has this status, whatever it ends with.
      response.writeHead(200, head);
      response.flushHeaders();
    };
    const wait = clock.after(HEAD_WAIT_MS, send, { unref: true });
    response.once('close', () => wait.cancel());
  };
}
