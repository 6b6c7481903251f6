import type { Principal } from '../../auth/principal.js';
import type { CallOptions } from '../connections/subsystem-connection.js';
import type { CommandedRuns } from './commanded-runs.js';

/** Who asks, and for how long: what every question to the engine comes with, over RPC as over REST. */
export interface Caller extends CallOptions {
  readonly principal: Principal;
  readonly signal: AbortSignal;
  /** Of a command: told what becomes known of its runs. */
  readonly commanded?: CommandedRuns | undefined;
}

/** What a call to a subsystem on behalf of the caller carries. */
export function callOptions({ signal, timeoutMs, gatewayPath, idempotencyKey }: Caller): CallOptions {
  return { signal, timeoutMs, gatewayPath, idempotencyKey };
}
