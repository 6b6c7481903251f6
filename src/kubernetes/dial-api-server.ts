import type { GuardedDialer, TlsTrust } from '../egress/index.js';
import type { Clock } from '../runtime/clock.js';
import type { ApiConnection } from './api-connection.js';
import { Http1Connection } from './http1-connection.js';
import { Http2Connection } from './http2-connection.js';

const DIAL_MS = 10_000;

/** HTTP/2 where the server offers it, else HTTP/1.1. @throws what the dialer throws, ConnectionCut. */
export async function dialApiServer(
  dialer: GuardedDialer,
  clock: Clock,
  server: URL,
  trust: TlsTrust,
  signal: AbortSignal,
): Promise<ApiConnection> {
  const target = { host: server.hostname, port: Number(server.port || 443), timeoutMs: DIAL_MS, signal };
  const socket = await dialer.dialTls(target, { ...trust, alpnProtocols: ['h2', 'http/1.1'] });
  if (socket.alpnProtocol !== 'h2') return new Http1Connection(socket, server.host);
  return Http2Connection.open(socket, server.origin, clock, signal);
}
