import type { IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import { Code, createContextValues } from '@connectrpc/connect';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import type { UniversalHandler } from '@connectrpc/connect/protocol';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { type AuthConfig, BearerAuthentication, authConfig, isLoopbackHost } from '../../auth/index.js';
import { DatabaseConnection } from '../../database/index.js';
import { type HttpConfig, RequestMounts, SiteRules, httpConfig } from '../../http/index.js';
import { Readiness } from '../../lifecycle/index.js';
import { requestContext } from '../../logging/index.js';
import { type RealtimeConfig, realtimeConfig } from '../../realtime/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import type { Runnable } from '../../runtime/runnable.js';
import { GATEWAY_PATH_HEADER } from '../connections/subsystem-connection.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import { checkedBody } from './checked-body.js';
import { JSON_OPTIONS } from './read-message.js';
import { RegisterHandler } from './register-handler.js';
import { LeanUnaryHandler } from './lean-unary-handler.js';
import { accessOf } from './rpc-access.js';
import { RPC_ANSWERS, type RpcAnswers } from './rpc-answers.js';
import { RPC_CALL, RPC_OBSERVERS, type RpcCall, type RpcObserver } from './rpc-call.js';
import { RpcCalls } from './rpc-calls.js';
import { COMPRESSIONS, COMPRESS_FROM_BYTES } from './rpc-compression.js';
import { corsHeaders, preflightHeaders } from './rpc-cors.js';
import { sendHeadEarly } from './early-head.js';
import { readExchange, writeExchange } from './rpc-exchange.js';
import { type GatedCall, RpcGate } from './rpc-gate.js';
import { RpcHandlers } from './rpc-handlers.js';
import { refuse } from './rpc-refusals.js';
import { undecodedReads } from './undecoded-methods.js';

const REQUEST_ID = /^[A-Za-z0-9._-]{1,64}$/;
const PREFIXES = ['/flowwatch.v1.', '/grpc.'];

/** FlowWatch's services over Connect, gRPC and gRPC-Web, on the service's one port. */
@Injectable()
export class RpcServer implements Runnable {
  readonly name = 'rpc';
  private readonly log = new Logger(RpcServer.name);
  private readonly site: SiteRules;
  private readonly gate: RpcGate;
  private readonly calls: RpcCalls;
  private readonly handlers: RpcHandlers;
  private readonly registrations: RegisterHandler;
  private readonly reads: LeanUnaryHandler;

  constructor(
    mounts: RequestMounts,
    bearers: BearerAuthentication,
    readiness: Readiness,
    database: DatabaseConnection,
    @Inject(RPC_ANSWERS) answers: RpcAnswers,
    @Inject(RPC_OBSERVERS) private readonly observers: readonly RpcObserver[],
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
    @Inject(httpConfig.token) { host, allowedHosts, corsOrigins }: HttpConfig,
    @Inject(authConfig.token) { apiKeys }: AuthConfig,
    @Inject(realtimeConfig.token) { streamsPerPrincipal }: RealtimeConfig,
    @Inject(gatewayConfig.token) private readonly config: GatewayConfig,
  ) {
    const loopbackOnly = apiKeys === undefined && isLoopbackHost(host);
    this.site = new SiteRules({ loopbackOnly, allowedHosts, corsOrigins });
    this.gate = new RpcGate({
      site: this.site,
      bearers,
      readiness,
      anonymousRole: config.anonymousRole,
      installationId: () => database.installation.installationId,
    });
    const unexpected = (error: unknown): void => this.log.error({ message: 'unexpected error', error });
    this.calls = new RpcCalls({ streamsPerPrincipal, unexpected });
    const admit = async (context: GatedCall): Promise<void> => {
      try {
        await this.gate.admit(context);
      } catch (thrown) {
        const error = this.calls.errorOf(thrown);
        const call = context.values.get(RPC_CALL);
        if (call) Object.assign(call, { code: codeToString(error.code), failure: thrown });
        throw error;
      }
    };
    const { maxMessageBytes: maxBytes } = config;
    const { registration } = answers;
    this.registrations = new RegisterHandler({
      registration,
      calls: this.calls,
      maxBytes,
      jsonOptions: JSON_OPTIONS,
      admit,
    });
    const { calls } = this;
    this.reads = new LeanUnaryHandler(undecodedReads(answers), {
      calls,
      clock,
      maxBytes,
      admit,
    });
    this.handlers = new RpcHandlers(answers, this.calls, readiness, {
      readMaxBytes: maxBytes,
      acceptCompression: COMPRESSIONS,
      compressMinBytes: COMPRESS_FROM_BYTES,
      jsonOptions: JSON_OPTIONS,
      requestGate: admit,
    });
    for (const pathPrefix of PREFIXES) {
      const handle = (request: IncomingMessage, response: ServerResponse): void => this.handle(request, response);
      mounts.mount({ pathPrefix, handle, isOpenEnded: (url) => this.isOpenEnded(url) });
    }
  }

  async start(): Promise<void> {
    const { anonymousRole } = this.config;
    if (anonymousRole === 'none') return;
    const message = `callers without a key are let in to FlowWatch's services as ${anonymousRole}`;
    this.log.warn({ message, setting: 'CROWSNEST_GATEWAY_ANONYMOUS_ROLE' });
  }

  /** Calls that wait for one answer get it while the HTTP server lasts; streams end. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.gate.stop();
    await this.calls.stop(deadline);
  }

  private isOpenEnded(url: string): boolean {
    const kind = this.handlers.find(pathOf(url), undefined)?.method.methodKind;
    return kind === 'bidi_streaming' || kind === 'client_streaming';
  }

  private handle(request: IncomingMessage, response: ServerResponse): void {
    const { headers } = request;
    const { origin } = headers;
    const given = headers['x-request-id'];
    const requestId = typeof given === 'string' && REQUEST_ID.test(given) ? given : this.random.uuid();
    const isListed = origin !== undefined && this.site.isListed(origin);
    if (request.method === 'OPTIONS') {
      response.writeHead(204, isListed ? preflightHeaders(origin) : {}).end();
      return;
    }
    const more: OutgoingHttpHeaders = { 'X-Request-Id': requestId, 'X-Content-Type-Options': 'nosniff' };
    if (isListed) Object.assign(more, corsHeaders(origin));
    const path = pathOf(request.url ?? '');
    const handler = this.handlers.find(path, headers['content-type']);
    requestContext.run({ requestId }, () => {
      const begun = this.clock.monotonic();
      if (!handler) {
        refuse(404, request, response, more);
        this.tell(undefined, undefined, response, { begun, requestId });
        return;
      }
      const call = callFrom(request, requestId);
      response.once('close', () => this.tell(handler, call, response, { begun, requestId }));
      if (this.registrations.takes(path, request)) void this.registrations.serve(call, request, response, more);
      else void this.answer(handler, path, call, request, response, more);
    });
  }

  private async answer(
    handler: UniversalHandler,
    path: string,
    call: RpcCall,
    request: IncomingMessage,
    response: ServerResponse,
    more: OutgoingHttpHeaders,
  ): Promise<void> {
    try {
      const read = this.reads.find(path, request);
      if (read) {
        await this.reads.serve(read, call, request, response, more);
        return;
      }
      sendHeadEarly(call, response, more, this.clock);
      const values = createContextValues().set(RPC_CALL, call);
      const exchange = readExchange(request, response, request.url ?? '', values);
      const body = checkedBody(exchange, call, { input: handler.method.input, maxBytes: this.config.maxMessageBytes });
      const answer = await handler({ ...exchange, body });
      if (answer.body === undefined && answer.status >= 400) {
        const refusal = refuse(answer.status, request, response, more);
        call.code ??= refusal.code;
        this.log.log({ message: 'an RPC was refused', path, reason: refusal.message });
      } else await writeExchange(answer, response, more);
    } catch (error) {
      // Whatever an answer throws has become its end by now; what comes out here is ours, or a client that is gone.
      if (!response.destroyed) this.log.error({ message: 'an RPC could not be answered', path: call.requestId, error });
      response.destroy();
    }
  }

  private tell(
    handler: UniversalHandler | undefined,
    call: RpcCall | undefined,
    response: ServerResponse,
    { begun, requestId }: { readonly begun: number; readonly requestId: string },
  ): void {
    if (!handler || !call) return;
    const { method } = handler;
    // Without a code it never came to an answer: the client left, or what it sent could not be read.
    const code = call.code ?? codeToString(response.writableEnded ? Code.InvalidArgument : Code.Canceled);
    const ended = {
      service: method.parent.typeName,
      method: method.name,
      access: accessOf(method) ?? 'admin',
      principal: call.principal,
      request: call.request,
      commanded: call.commanded,
      failure: call.failure,
      code,
      status: response.headersSent ? response.statusCode : 499,
      durationMs: this.clock.monotonic() - begun,
      requestId,
    };
    for (const observer of this.observers) observer.ended(ended);
    const { service, method: name, access, status, durationMs } = ended;
    const line = { message: 'rpc', service, method: name, code, status, durationMs: Math.round(durationMs) };
    requestContext.run({ requestId }, () => this.log[levelOf(code, access)](line));
  }
}

function callFrom({ headers, socket }: IncomingMessage, requestId: string): RpcCall {
  // Over HTTP/2 the authority stands in the place of Host: RFC 9113, section 8.3.1.
  const host = headers.host ?? one(headers[':authority']);
  return {
    requestId,
    address: socket.remoteAddress ?? '',
    site: { host, origin: headers.origin, 'sec-fetch-site': headers['sec-fetch-site'] },
    authorization: headers.authorization,
    gatewayPath: one(headers[GATEWAY_PATH_HEADER]),
    idempotencyKey: one(headers['idempotency-key']),
  };
}

function one(header: string | string[] | undefined): string | undefined {
  return typeof header === 'string' ? header : header?.join(', ');
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}

/** Changes and refusals are of interest to whoever runs the service, reads to whoever debugs it. */
function levelOf(code: string, access: string): 'warn' | 'log' | 'debug' {
  if (code === 'internal' || code === 'unknown' || code === 'data_loss') return 'warn';
  return code !== 'ok' || access === 'operator' ? 'log' : 'debug';
}
