import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Code } from '@connectrpc/connect';

export interface RpcRefusal {
  /** In Connect's words. */
  readonly code: string;
  readonly message: string;
}

const REFUSALS: Readonly<Record<number, RpcRefusal>> = {
  404: { code: 'unimplemented', message: 'there is no such RPC; ask the reflection service for those that are' },
  405: { code: 'unimplemented', message: 'RPCs are called with POST' },
  415: {
    code: 'unknown',
    message: 'the content type is none of Connect, gRPC or gRPC-Web; for JSON send "Content-Type: application/json"',
  },
  505: {
    code: 'unimplemented',
    message:
      'this RPC sends and receives at the same time and needs HTTP/2; the request came over HTTP/1.1: ' +
      'call it with prior knowledge (h2c), or over TLS with h2 in ALPN, and let no proxy between turn it into HTTP/1.1',
  },
};

/**
 * An answer before it is known which protocol the client speaks, or when it speaks none: each understands its own.
 * Returns what it says.
 */
export function refuse(
  status: number,
  { headers, httpVersionMajor }: IncomingMessage,
  response: ServerResponse,
  more: OutgoingHttpHeaders,
): RpcRefusal {
  const refusal = REFUSALS[status] ?? { code: 'unknown', message: 'the request cannot be answered' };
  const { message } = refusal;
  const type = headers['content-type'] ?? '';
  // gRPC knows no status but that of its trailers; without HTTP/2 it is not gRPC.
  if (status === 404 && httpVersionMajor > 1 && /^application\/grpc(?:[+;]|$)/.test(type)) {
    response.writeHead(200, { ...more, 'content-type': type });
    response.addTrailers({ 'grpc-status': String(Code.Unimplemented), 'grpc-message': encodeURI(message) });
    response.end();
    return refusal;
  }
  const head: OutgoingHttpHeaders = { ...more, 'Content-Type': 'application/json' };
  if (status === 405) head['Allow'] = 'POST';
  // What it sends would never end.
  if (status === 505) head['Connection'] = 'close';
  response.writeHead(status, head).end(JSON.stringify(refusal));
  return refusal;
}
