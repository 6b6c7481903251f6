import type { Socket } from 'node:net';
import { type GuardedDialer, type TlsTrust } from '../../egress/index.js';
import type { Clock } from '../../runtime/clock.js';
import { CallFailure } from './call-failure.js';
import { Http1Link } from './http1-link.js';
import { Http2Link, NotHttp2 } from './http2-link.js';
import type { Link } from './link.js';

export interface DialInstance {
  readonly dialer: GuardedDialer;
  readonly clock: Clock;
  /** For one attempt to connect. */
  readonly connectTimeoutMs: number;
  readonly trust: TlsTrust;
}

export type HttpVersion = 'http1' | 'http2';

/**
 * Opens the way to an instance: HTTP/2 by prior knowledge over cleartext and by ALPN over TLS, HTTP/1.1 where the peer
 * knows no other.
 *
 * @param known what the peer spoke the last time.
 * @throws CallFailure `not-reached`
 */
export async function dialInstance(
  { dialer, clock, connectTimeoutMs, trust }: DialInstance,
  origin: URL,
  known: HttpVersion,
  onGone: () => void,
): Promise<{ readonly link: Link; readonly version: HttpVersion }> {
  const isTls = origin.protocol === 'https:';
  const target = {
    host: origin.hostname,
    port: Number(origin.port || (isTls ? 443 : 80)),
    timeoutMs: connectTimeoutMs,
  };
  const dial = async (alpnProtocols: readonly string[]): Promise<Socket & { readonly alpnProtocol?: unknown }> => {
    try {
      return isTls ? await dialer.dialTls(target, { ...trust, alpnProtocols }) : await dialer.dial(target);
    } catch (error) {
      throw new CallFailure('not-reached', 'it cannot be reached', { cause: error });
    }
  };
  const http1 = (first: Socket): { readonly link: Link; readonly version: HttpVersion } => ({
    link: new Http1Link(origin.host, first, () => dial(['http/1.1']), onGone),
    version: 'http1',
  });
  if (known === 'http1') return http1(await dial(['http/1.1']));
  const socket = await dial(['h2', 'http/1.1']);
  if (isTls && socket.alpnProtocol !== 'h2') return http1(socket);
  try {
    const link = await Http2Link.open(socket, origin.origin, connectTimeoutMs, clock, onGone);
    return { link, version: 'http2' };
  } catch (error) {
    if (!(error instanceof NotHttp2)) throw error;
    return http1(await dial(['http/1.1']));
  }
}
