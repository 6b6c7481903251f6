import type { IncomingHttpHeaders } from 'node:http';
import type { IncomingHttpHeaders as Http2Headers } from 'node:http2';
import { GATEWAY_PATH_HEADER } from '../connections/subsystem-connection.js';
import type { RpcCall } from './rpc-call.js';

/** What is known of a call by its first headers. */
export function rpcCallOf(
  headers: IncomingHttpHeaders | Http2Headers,
  address: string | undefined,
  requestId: string,
): RpcCall {
  // Over HTTP/2 the authority stands in the place of Host: RFC 9113, section 8.3.1.
  const host = headers.host ?? one(headers[':authority']);
  return {
    requestId,
    address: address ?? '',
    site: { host, origin: headers.origin, 'sec-fetch-site': headers['sec-fetch-site'] },
    authorization: headers.authorization,
    gatewayPath: one(headers[GATEWAY_PATH_HEADER]),
    idempotencyKey: one(headers['idempotency-key']),
    protocolVersion: one(headers['connect-protocol-version']),
  };
}

function one(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.join(', ');
}
