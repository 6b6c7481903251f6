import type { IncomingHttpHeaders } from 'node:http';
import type { GuardedDialer } from '../egress/index.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { ConnectionCut, type Exchange, type ExchangeRequest } from './api-connection.js';
import type { ClusterAccess } from './cluster-access.js';
import { ConnectionPool, type Lease } from './connection-pool.js';
import type { CredentialSource } from './credential-source.js';
import { dialApiServer } from './dial-api-server.js';
import {
  type ApiCall,
  type ApiResponse,
  type KubernetesApi,
  KubernetesApiError,
  type WatchCall,
} from './kubernetes-api.js';
import { UnreadableBody, readBody } from './response-body.js';
import { type AskedFor, statusError, statusOf } from './status-error.js';
import { transportError } from './transport-error.js';
import { watchLines } from './watch-lines.js';

const CALL_MS = 10_000;
const WATCH_HEAD_MS = 15_000;
const MAX_BODY = 64 * 1024 * 1024;
const MAX_ERROR_BODY = 1024 * 1024;

export interface KubernetesClientOptions {
  readonly access: ClusterAccess;
  readonly credentials: CredentialSource;
  readonly dialer: GuardedDialer;
  readonly clock: Clock;
  /** Asked at each request: the installation's id is known only after the database is there. */
  readonly userAgent: () => string;
}

/** One cluster's API server over connections of its own. */
export class KubernetesClient implements KubernetesApi {
  readonly clusterId: string;
  private readonly server: URL;
  private readonly pool: ConnectionPool;
  private readonly closed = new AbortController();

  constructor(private readonly options: KubernetesClientOptions) {
    this.clusterId = options.access.clusterId;
    this.server = new URL(options.access.server);
    this.pool = new ConnectionPool(async (signal) => {
      const trust = await options.credentials.trust();
      return dialApiServer(options.dialer, options.clock, this.server, trust, signal);
    });
  }

  /** Sockets to the API server. */
  get connections(): number {
    return this.pool.size;
  }

  async call<T = unknown>(call: ApiCall): Promise<ApiResponse<T>> {
    const scope = this.scope(this.asked(call.method, call.path), call.timeoutMs ?? CALL_MS, call.signal);
    try {
      let exchange = await this.sendCall(call, scope.signal);
      if (exchange.status === 401 && (await this.options.credentials.renew())) {
        exchange.body.destroy();
        exchange = await this.sendCall(call, scope.signal);
      }
      if (exchange.status < 200 || exchange.status > 299) throw await refusal(scope.asked, exchange);
      const body = await readBody(exchange, call.maxBytes ?? MAX_BODY);
      return { status: exchange.status, body: parse(body) as T, warnings: warningsOf(exchange.headers) };
    } catch (error) {
      throw scope.errorOf(error);
    } finally {
      scope.timer.cancel();
    }
  }

  async watch(call: WatchCall): Promise<AsyncIterable<unknown>> {
    const scope = this.scope(this.asked('GET', call.path), WATCH_HEAD_MS, call.signal);
    let lease: Lease | undefined;
    try {
      const request = await this.requestOf({ ...call, method: 'GET' }, scope.signal, 'identity');
      lease = await this.pool.forWatch(scope.signal);
      const exchange = await lease.connection.send(request);
      if (exchange.status !== 200) {
        if (exchange.status === 401) await this.options.credentials.renew();
        throw await refusal(scope.asked, exchange);
      }
      const place = lease;
      exchange.body.once('close', () => place.release());
      return watchLines(exchange, { asked: scope.asked, signal: scope.signal, clock: this.options.clock });
    } catch (error) {
      lease?.release();
      throw scope.errorOf(error);
    } finally {
      scope.timer.cancel();
    }
  }

  /** Ends every call and watch; resolves when no socket is left. */
  async close(): Promise<void> {
    const reason = new KubernetesApiError('cut', `the connections to ${this.server.origin} were closed`);
    this.closed.abort(reason);
    await this.pool.close(reason);
  }

  private async sendCall(call: ApiCall, signal: AbortSignal): Promise<Exchange> {
    const request = await this.requestOf(call, signal, 'gzip');
    const lease = await this.pool.forCall(signal);
    try {
      return await lease.connection.send(request);
    } catch (error) {
      // A connection that lay idle may have gone unnoticed. What may have been acted on is sent again only if reading.
      const again = error instanceof ConnectionCut && (error.unprocessed || (lease.reused && call.method === 'GET'));
      if (!again || signal.aborted) throw error;
      return (await this.pool.forCall(signal)).connection.send(request);
    }
  }

  private async requestOf(
    call: Pick<ApiCall, 'method' | 'path' | 'query' | 'accept' | 'body' | 'contentType'>,
    signal: AbortSignal,
    encoding: 'gzip' | 'identity',
  ): Promise<ExchangeRequest> {
    const authorization = await this.options.credentials.authorization();
    const base = this.server.pathname.replace(/\/$/, '');
    return {
      method: call.method,
      path: `${base}${call.path}${queryOf(call.query)}`,
      headers: {
        accept: call.accept ?? 'application/json',
        'accept-encoding': encoding,
        'user-agent': this.options.userAgent(),
        ...(authorization === undefined ? {} : { authorization }),
        ...(call.body === undefined ? {} : { 'content-type': call.contentType ?? 'application/json' }),
      },
      ...(call.body === undefined ? {} : { body: Buffer.from(JSON.stringify(call.body)) }),
      signal,
    };
  }

  /** The signal, deadline and error of one request. */
  private scope(asked: AskedFor, timeoutMs: number, caller: AbortSignal | undefined): Scope {
    const deadline = new AbortController();
    const timer = this.options.clock.after(timeoutMs, () =>
      deadline.abort(
        new KubernetesApiError(
          'timeout',
          `${asked.method} ${asked.path} on ${asked.origin}: no answer within ${Math.round(timeoutMs)} ms`,
        ),
      ),
    );
    const ends = [deadline.signal, this.closed.signal, ...(caller ? [caller] : [])];
    const signal = AbortSignal.any(ends);
    return {
      asked,
      signal,
      timer,
      errorOf: (error) => (signal.aborted ? signal.reason : transportError(error, asked)),
    };
  }

  private asked(method: string, path: string): AskedFor {
    return { method, path, origin: this.server.origin };
  }
}

interface Scope {
  readonly asked: AskedFor;
  readonly signal: AbortSignal;
  readonly timer: Timer;
  errorOf(error: unknown): unknown;
}

/** Redirects end here too: following one would carry the credential to an address that nobody checked. */
async function refusal(asked: AskedFor, exchange: Exchange): Promise<KubernetesApiError> {
  const { status, headers } = exchange;
  if (status >= 300 && status < 400) {
    exchange.body.destroy();
    const message = `${asked.method} ${asked.path} on ${asked.origin} was answered with a redirect (${status}), which is not followed; register the address that it leads to`;
    return new KubernetesApiError('server', message, { status });
  }
  const retryAfter = headers['retry-after'];
  try {
    const body = await readBody(exchange, MAX_ERROR_BODY);
    return statusError(asked, status, statusOf(parse(body)), retryAfter);
  } catch (error) {
    // The refusal stands in the status line; a body that is no Status (a proxy's page, too large, cut) adds nothing.
    if (error instanceof UnreadableBody || error instanceof ConnectionCut) {
      return statusError(asked, status, {}, retryAfter);
    }
    throw error;
  }
}

function parse(body: Buffer): unknown {
  try {
    return JSON.parse(body.toString());
  } catch {
    // Without the parser's message as a cause: it repeats a piece of the text.
    throw new UnreadableBody('the answer is not JSON');
  }
}

function queryOf(query: ApiCall['query']): string {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query ?? {})) {
    if (value !== undefined) parameters.set(name, String(value));
  }
  return parameters.size === 0 ? '' : `?${parameters.toString()}`;
}

/** `299 - "text"`, RFC 9111 (5.5) as Kubernetes uses it. */
function warningsOf(headers: IncomingHttpHeaders): readonly string[] {
  return [...(headers.warning ?? '').matchAll(/\b299 \S+ "((?:[^"\\]|\\.)*)"/g)].map(([, text = '']) =>
    text.replaceAll(/\\(.)/g, '$1'),
  );
}
