import { type LookupAddress } from 'node:dns';
import { lookup } from 'node:dns/promises';
import { type LookupFunction, type Socket, connect } from 'node:net';
import { type TLSSocket, connect as connectTls } from 'node:tls';
import { abortable } from '../runtime/abortable.js';
import type { Clock } from '../runtime/clock.js';
import { DialError, dialErrorOf } from './dial-error.js';
import type { EgressPolicy } from './egress-policy.js';
import { EgressRefused } from './egress-refused.js';
import { type IpAddress, formatIp, parseHostAddress, parseIp } from './ip-address.js';

export interface TlsTrust {
  /** PEM bundle; the system's roots if absent. */
  readonly ca?: string;
  readonly cert?: string;
  readonly key?: string;
  /** Expected in the certificate instead of the host. */
  readonly serverName?: string;
  readonly alpnProtocols?: readonly string[];
}

export interface DialTarget {
  /** Name or literal address in any spelling. */
  readonly host: string;
  readonly port: number;
  /** Resolution, connection and handshake together. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/** Every address of a name. Replaced in tests by a resolver that lies. */
export type ResolveHost = (host: string) => Promise<readonly LookupAddress[]>;

const resolveWithSystem: ResolveHost = (host) => lookup(host, { all: true, order: 'verbatim' });

/**
 * The only place where the service opens connections to addresses that users name. A name is resolved once, each of its
 * addresses must be allowed, and the connection goes to one of those: a second answer of the resolver is never used.
 * Proxy variables of the environment are not looked at.
 */
export class GuardedDialer {
  constructor(
    private readonly policy: EgressPolicy,
    private readonly clock: Clock,
    private readonly resolveHost: ResolveHost = resolveWithSystem,
  ) {}

  /** @throws EgressRefused, DialError, or the signal's reason. */
  dial(target: DialTarget): Promise<Socket> {
    return this.within(target, (signal) => this.connect(target, signal));
  }

  /** Resolves after the handshake, with the server's certificate verified. @throws as `dial` does. */
  dialTls(target: DialTarget, trust: TlsTrust): Promise<TLSSocket> {
    return this.within(target, async (signal) => {
      const socket = await this.connect(target, signal);
      return shakeHands(socket, target.host, trust, signal);
    });
  }

  private async connect(target: DialTarget, signal: AbortSignal): Promise<Socket> {
    const addresses = await this.allowedAddresses(target.host, signal);
    const socket = await openSocket(addresses, target.port, signal);
    try {
      const peer = socket.remoteAddress === undefined ? undefined : parseIp(socket.remoteAddress);
      if (!peer) throw new DialError('cut', `the connection to ${target.host} broke at once`);
      this.policy.check(peer, target.host);
      return socket;
    } catch (error) {
      socket.destroy();
      throw error;
    }
  }

  private async allowedAddresses(host: string, signal: AbortSignal): Promise<readonly LookupAddress[]> {
    const literal = readLiteral(host);
    const resolved = literal
      ? [{ address: formatIp(literal), family: literal.family }]
      : await abortable(this.resolveHost(host), signal);
    for (const { address } of resolved) {
      const parsed = parseIp(address);
      if (!parsed) throw new EgressRefused(host, address, 'never', 'the resolver gave an address that cannot be read');
      this.policy.check(parsed, host);
    }
    if (resolved.length === 0) throw new DialError('dns', `${host} has no address`);
    return resolved;
  }

  /** One deadline over all steps, told apart from the caller's abort. */
  private async within<T>(target: DialTarget, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    target.signal?.throwIfAborted();
    const deadline = new AbortController();
    const where = `${target.host}:${target.port}`;
    const timer = this.clock.after(target.timeoutMs, () =>
      deadline.abort(new DialError('timeout', `no connection to ${where} within ${target.timeoutMs} ms`)),
    );
    const signal = target.signal ? AbortSignal.any([target.signal, deadline.signal]) : deadline.signal;
    try {
      return await work(signal);
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      throw dialErrorOf(error, where);
    } finally {
      timer.cancel();
    }
  }
}

function readLiteral(host: string): IpAddress | undefined {
  try {
    return parseHostAddress(host);
  } catch (error) {
    throw new DialError('dns', `'${host}' is not a host name or an address`, error);
  }
}

function openSocket(addresses: readonly LookupAddress[], port: number, signal: AbortSignal): Promise<Socket> {
  const first = addresses[0]?.address ?? '';
  const lookupChecked: LookupFunction = (_host, options, callback) => {
    if (options.all) callback(null, [...addresses]);
    else callback(null, first, addresses[0]?.family);
  };
  // A made-up name makes node ask `lookup` and try each checked address in turn; a literal would end at the first.
  const host = addresses.length === 1 ? first : 'checked.invalid';
  const socket = connect({
    host,
    port,
    lookup: lookupChecked,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: 1_000,
    noDelay: true,
    keepAlive: true,
    keepAliveInitialDelay: 30_000,
  });
  return whenReady(socket, 'connect', signal);
}

function shakeHands(socket: Socket, host: string, trust: TlsTrust, signal: AbortSignal): Promise<TLSSocket> {
  const expected = trust.serverName ?? host;
  const literal = parseHostAddress(expected);
  const secure = connectTls({
    socket,
    // `host` is what the certificate is checked for; SNI may not be an address (RFC 6066, section 3).
    host: literal ? formatIp(literal) : expected,
    ...(literal ? {} : { servername: expected }),
    ...(trust.ca === undefined ? {} : { ca: trust.ca }),
    ...(trust.cert === undefined ? {} : { cert: trust.cert }),
    ...(trust.key === undefined ? {} : { key: trust.key }),
    ...(trust.alpnProtocols ? { ALPNProtocols: [...trust.alpnProtocols] } : {}),
    minVersion: 'TLSv1.2',
    rejectUnauthorized: true,
  });
  return whenReady(secure, 'secureConnect', signal);
}

/** Resolves at the event; a socket that fails or is given up is destroyed. */
function whenReady<S extends Socket>(socket: S, event: 'connect' | 'secureConnect', signal: AbortSignal): Promise<S> {
  return new Promise((resolve, reject) => {
    const settle = (error?: Error): void => {
      socket.off(event, onReady).off('close', onClose);
      signal.removeEventListener('abort', onAbort);
      if (error === undefined) {
        socket.off('error', onError);
        resolve(socket);
      } else {
        // The error listener stays: a destroyed socket may still report one.
        socket.destroy();
        reject(error);
      }
    };
    const onReady = (): void => settle();
    const onError = (error: Error): void => settle(error);
    const onClose = (): void => settle(new DialError('cut', 'the connection was closed before it was ready'));
    const onAbort = (): void => settle(signal.reason as Error);
    socket.on(event, onReady).on('error', onError).on('close', onClose);
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
  });
}
