import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import { Http2SessionManager, createConnectTransport } from '@connectrpc/connect-node';
import { Backoff } from '../../runtime/backoff.js';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import type { Runnable } from '../../runtime/runnable.js';
import { StopReason } from '../../runtime/stop-reason.js';
import type { RegisterRequest } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { type SessionEnd, RegistrationSession } from './registration-session.js';

export interface ConnectToGatewayOptions {
  /** Under which the subsystem registers. */
  readonly id: string;
  readonly name?: string;
  readonly description?: string;
  readonly metadata?: Readonly<Record<string, string>>;
  /** `http://gateway:8091` */
  readonly gatewayAddress: string;
  /** Where the gateway calls this subsystem: `http://10.0.0.7:8090`. */
  readonly localEndpoint: string;
  readonly key?: string;
  /** Sent with the registration. A gateway that registers at another says here through which it was reached. */
  readonly headers?: Readonly<Record<string, string>>;
  /** Connect over cleartext HTTP/2 to `gatewayAddress` if absent. */
  readonly transport?: Transport;
  readonly clock: Clock;
  readonly random: Random;
  readonly onEvent?: (event: GatewayConnectionEvent) => void;
}

export type GatewayConnectionEvent =
  | { readonly kind: 'registered'; readonly heartbeatMs: number }
  /** `refused`: the gateway does not want it. `left`: it asked it to leave. `lost`: the stream ended or broke. */
  | { readonly kind: 'refused' | 'left' | 'lost'; readonly reason: string; readonly retryInMs: number };

const RETRY = { baseMs: 1_000, maxMs: 30_000 };
/** What is refused now will be refused in a second. */
const RETRY_REFUSED = { baseMs: 30_000, maxMs: 30_000 };

/** These will not go away by asking again. */
const REFUSALS: ReadonlySet<Code> = new Set([
  Code.Unauthenticated,
  Code.PermissionDenied,
  Code.InvalidArgument,
  Code.AlreadyExists,
  Code.FailedPrecondition,
  Code.Unimplemented,
]);

/** Keeps a subsystem registered at a gateway: answers its pings, and comes back whenever the stream ends. */
export function connectToGateway(options: ConnectToGatewayOptions): Runnable {
  return new GatewayConnection(options);
}

class GatewayConnection implements Runnable {
  readonly name: string;
  private readonly request: Partial<Omit<RegisterRequest, '$typeName' | '$unknown'>>;
  private abort: AbortController | undefined;
  private loop: Promise<void> | undefined;

  constructor(private readonly options: ConnectToGatewayOptions) {
    const { id, name = id, description = '', metadata = {}, localEndpoint, key = '', gatewayAddress } = options;
    this.name = `registration at ${new URL(gatewayAddress).host}`;
    this.request = {
      subsystemId: id,
      subsystemName: name,
      description,
      metadata: { ...metadata },
      flowwatchEndpoint: localEndpoint,
      apiKey: key,
    };
  }

  start(): Promise<void> {
    if (!this.loop) {
      this.abort = new AbortController();
      this.loop = this.run(this.abort.signal);
    }
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.abort?.abort(new StopReason(this.name));
    await this.loop;
    this.loop = undefined;
  }

  private async run(signal: AbortSignal): Promise<void> {
    const { clock, random, onEvent, gatewayAddress } = this.options;
    const backoff = new Backoff(RETRY, random);
    const refusedBackoff = new Backoff(RETRY_REFUSED, random);
    const sessions = this.options.transport ? undefined : new Http2SessionManager(gatewayAddress);
    const transport = this.options.transport ?? transportTo(gatewayAddress, sessions);
    try {
      while (!signal.aborted) {
        const end = await this.session(transport, signal, (heartbeatMs) => {
          backoff.reset();
          onEvent?.({ kind: 'registered', heartbeatMs });
        });
        if (signal.aborted) return;
        const kind = kindOf(end);
        const retryInMs = kind === 'refused' ? refusedBackoff.next() : backoff.next();
        onEvent?.({ kind, reason: end.reason, retryInMs });
        await clock.sleep(retryInMs, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      sessions?.abort();
    }
  }

  private session(
    transport: Transport,
    signal: AbortSignal,
    onRegistered: (heartbeatMs: number) => void,
  ): Promise<SessionEnd> {
    const { clock, headers = {} } = this.options;
    return new RegistrationSession({ transport, headers, request: this.request, clock, onRegistered }).run(signal);
  }
}

function transportTo(baseUrl: string, sessionManager: Http2SessionManager | undefined): Transport {
  return createConnectTransport({ baseUrl, httpVersion: '2', ...(sessionManager ? { sessionManager } : {}) });
}

function kindOf({ end, error }: SessionEnd): 'refused' | 'left' | 'lost' {
  if (end !== 'failed') return end === 'ended' ? 'lost' : end;
  return REFUSALS.has(ConnectError.from(error).code) ? 'refused' : 'lost';
}
