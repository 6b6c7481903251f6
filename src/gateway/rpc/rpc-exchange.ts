import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { Writable } from 'node:stream';
import { Code, ConnectError, type ContextValues } from '@connectrpc/connect';
import type { UniversalServerRequest, UniversalServerResponse } from '@connectrpc/connect/protocol';
import { countableTimeout } from './countable-timeout.js';

/**
 * What the protocols need of a request's headers. Nothing else comes near what answers: no credential, no cookie, no
 * header that could be passed on by mistake.
 */
const PROTOCOL_HEADERS = [
  'content-type',
  'content-encoding',
  'accept-encoding',
  'connect-protocol-version',
  'connect-timeout-ms',
  'connect-content-encoding',
  'connect-accept-encoding',
  'grpc-timeout',
  'grpc-encoding',
  'grpc-accept-encoding',
  'x-grpc-web',
  'te',
] as const;

/** A request in the form that Connect's handlers take, and how long it says that it is. */
export interface RpcExchange extends UniversalServerRequest {
  readonly body: AsyncIterable<Uint8Array>;
  readonly contentLength: number;
}

/** Without its length: what is too long is refused in our words. */
export function readExchange(
  request: IncomingMessage,
  response: ServerResponse,
  path: string,
  contextValues: ContextValues,
): RpcExchange {
  const gone = new AbortController();
  response.once('close', () => {
    if (!response.writableEnded) gone.abort(new ConnectError('the client is gone', Code.Canceled));
  });
  // What is answered before its end is let through: over HTTP/1.1 nothing else would follow on the connection, and a
  // client may read no answer before all is sent. Over HTTP/2 the response itself finishes only with its stream.
  const written: Writable = (response as { stream?: Writable }).stream ?? response;
  written.once('finish', () => request.resume());
  return {
    httpVersion: request.httpVersion,
    method: request.method ?? '',
    // Only its query is ever looked at; a made-up authority is always a valid one.
    url: `http://gateway${path}`,
    header: protocolHeaders(request.headers),
    // A message that is too large is answered, so the connection has to survive that it is not read to its end.
    body: request.iterator({ destroyOnReturn: false }) as AsyncIterable<Uint8Array>,
    contentLength: Number(request.headers['content-length'] ?? 0),
    signal: gone.signal,
    contextValues,
  };
}

function protocolHeaders(headers: IncomingHttpHeaders): Headers {
  const picked = new Headers();
  for (const name of PROTOCOL_HEADERS) {
    const value = headers[name];
    if (typeof value === 'string') picked.set(name, countableTimeout(name, value));
  }
  return picked;
}

/** Writes the answer as fast as the client takes it. Resolves when all is written, or the client is gone. */
export async function writeExchange(
  answer: UniversalServerResponse,
  response: ServerResponse,
  more: OutgoingHttpHeaders,
): Promise<void> {
  const head: OutgoingHttpHeaders = { ...more };
  answer.header?.forEach((value, name) => (head[name] = value));
  if (answer.body === undefined) {
    response.writeHead(answer.status, head).end();
    return;
  }
  const chunks = answer.body[Symbol.asyncIterator]();
  try {
    let chunk = await chunks.next();
    if (isGone(response)) return;
    if (!response.headersSent) response.writeHead(answer.status, head);
    if (chunk.done !== true && head['content-length'] !== undefined) {
      response.end(chunk.value);
      return;
    }
    while (chunk.done !== true) {
      if (!response.write(chunk.value)) await drained(response);
      if (isGone(response)) return;
      chunk = await chunks.next();
    }
    if (answer.trailer) response.addTrailers(Object.fromEntries(answer.trailer));
    response.end();
  } finally {
    // Ends what still makes chunks; it has ended already unless the client is gone.
    await chunks.return?.();
  }
}

function isGone(response: ServerResponse): boolean {
  return response.destroyed || response.closed;
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off('drain', done);
      response.off('close', done);
      resolve();
    };
    response.once('drain', done);
    response.once('close', done);
    if (isGone(response)) done();
  });
}
