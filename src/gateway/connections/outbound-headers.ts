import { Code, ConnectError } from '@connectrpc/connect';
import type { WireHeaders } from './link.js';
import { type CallOptions, GATEWAY_PATH_HEADER } from './subsystem-connection.js';

/** What a header may carry, and no more of it than a peer takes. */
const HEADER_VALUE = /^[\x20-\x7e]{1,4096}$/;

/** Of this service, and the same for all of its calls. */
export interface CallerIdentity {
  /** `crowsnest/<version> (<installation>)` */
  readonly userAgent: string;
  readonly installationId: string;
}

/**
 * All that a call carries: made from nothing, so that no credential, cookie or forwarding header of a caller can pass.
 *
 * @param timeoutMs whole milliseconds; none for a stream.
 * @throws ConnectError `invalid_argument`
 */
export function outboundHeaders(
  kind: 'unary' | 'stream',
  identity: CallerIdentity,
  { gatewayPath, idempotencyKey }: CallOptions,
  timeoutMs?: number,
): WireHeaders {
  const headers: Record<string, string> = {
    'content-type': kind === 'unary' ? 'application/proto' : 'application/connect+proto',
    'connect-protocol-version': '1',
    'user-agent': identity.userAgent,
    [GATEWAY_PATH_HEADER]:
      gatewayPath === undefined ? identity.installationId : `${checked(gatewayPath)}, ${identity.installationId}`,
  };
  if (timeoutMs !== undefined) headers['connect-timeout-ms'] = String(timeoutMs);
  if (idempotencyKey !== undefined) headers['idempotency-key'] = checked(idempotencyKey);
  return headers;
}

function checked(value: string): string {
  if (HEADER_VALUE.test(value)) return value;
  throw new ConnectError(
    'an idempotency key or gateway path has characters that no header carries',
    Code.InvalidArgument,
  );
}
