import type { LookupAddress } from 'node:dns';
import { ConnectSubsystemConnection } from '../../src/gateway/connections/connect-subsystem-connection.js';
import { EgressPolicy, GuardedDialer, type TlsTrust } from '../../src/egress/index.js';
import type { Clock } from '../../src/runtime/clock.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import { FakeClock } from './fake-clock.js';

export interface ConnectionOptions {
  /** `billing` by default. */
  readonly subsystemId?: string;
  readonly clock?: Clock;
  readonly callTimeoutMs?: number;
  readonly maxMessageBytes?: number;
  readonly servesLoopbackOnly?: boolean;
  readonly trust?: TlsTrust;
  readonly resolve?: (host: string) => Promise<readonly LookupAddress[]>;
}

/** A connection as the service makes it, to endpoints on loopback. */
export function connectionTo(
  endpoints: readonly string[] | (() => readonly string[]),
  options: ConnectionOptions = {},
): ConnectSubsystemConnection {
  const { clock = new FakeClock(), servesLoopbackOnly = true } = options;
  return new ConnectSubsystemConnection({
    dialer: new GuardedDialer(new EgressPolicy({ allow: [], deny: [], servesLoopbackOnly }), clock, options.resolve),
    clock,
    random: new CryptoRandom(),
    limits: { callTimeoutMs: options.callTimeoutMs ?? 10_000, maxMessageBytes: options.maxMessageBytes ?? 4 << 20 },
    installationId: () => 'here',
    subsystemId: options.subsystemId ?? 'billing',
    endpoints: typeof endpoints === 'function' ? endpoints : () => endpoints,
    ...(options.trust ? { trust: options.trust } : {}),
  });
}
