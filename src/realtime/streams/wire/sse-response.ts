import type { ServerResponse } from 'node:http';
import { encodeFrame } from './sse-frame.js';

/**
 * What tells a browser how to treat a document. An event stream is none, and its response, with every header that it
 * was ever given, stays in memory for as long as the stream is open.
 */
const OF_DOCUMENTS = [
  'Content-Security-Policy',
  'Cross-Origin-Opener-Policy',
  'Origin-Agent-Cluster',
  'Referrer-Policy',
  'X-DNS-Prefetch-Control',
  'X-Download-Options',
  'X-Frame-Options',
  'X-Permitted-Cross-Domain-Policies',
  'X-XSS-Protection',
];

/**
 * Writes the head of an event stream and the time after which its client may come back.
 *
 * `no-transform` and `X-Accel-Buffering` keep proxies from holding events back. The connection is not kept alive after
 * the stream, so that an idle one does not hold the server at shutdown; HTTP/2 forbids the header and has no need.
 */
export function openEventStream(response: ServerResponse, retryMs: number): void {
  for (const name of OF_DOCUMENTS) response.removeHeader(name);
  response.writeHead(200, {
    'Content-Type': 'text/event-stream; charset=utf-8',
    'Cache-Control': 'no-store, no-transform',
    'X-Accel-Buffering': 'no',
    ...(response.req.httpVersionMajor === 1 ? { Connection: 'close' } : {}),
  });
  if (response.req.method === 'HEAD') response.end();
  else response.write(encodeFrame({ retry: retryMs }));
}
