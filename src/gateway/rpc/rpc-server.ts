import type { IncomingHttpHeaders, IncomingMessage, OutgoingHttpHeaders, ServerResponse } from 'node:http';
import type { IncomingHttpHeaders as Http2Headers, ServerHttp2Stream } from 'node:http2';
import { createContextValues } from '@connectrpc/connect';
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
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import { checkedBody } from './checked-body.js';
import { JSON_OPTIONS } from './read-message.js';
import { REGISTER, RegisterHandler } from './register-handler.js';
import { LeanUnaryHandler } from './lean-unary-handler.js';
import { RPC_ANSWERS, type RpcAnswers } from './rpc-answers.js';
import { rpcCallOf } from './rpc-call-of.js';
import { RPC_CALL, RPC_OBSERVERS, type RpcCall, type RpcObserver } from './rpc-call.js';
import { RpcCalls } from './rpc-calls.js';
import { COMPRESSIONS, COMPRESS_FROM_BYTES } from './rpc-compression.js';
import { corsHeaders, preflightHeaders } from './rpc-cors.js';
import { sendHeadEarly } from './early-head.js';
import { RpcEnds } from './rpc-ends.js';
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
  private readonly ends: RpcEnds;

  constructor(
    mounts: RequestMounts,
    bearers: BearerAuthentication,
    readiness: Readiness,
    database: DatabaseConnection,
    @Inject(RPC_ANSWERS) answers: RpcAnswers,
    @Inject(RPC_OBSERVERS) observers: readonly RpcObserver[],
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
    this.ends = new RpcEnds(observers, clock, this.log);
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
      const takeStream = (stream: ServerHttp2Stream, headers: Http2Headers): boolean =>
        this.takeStream(stream, headers);
      mounts.mount({ pathPrefix, handle, takeStream, isOpenEnded: (url) => this.isOpenEnded(url) });
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
    if (request.method === 'OPTIONS') {
      const { origin } = headers;
      response.writeHead(204, this.isListed(origin) ? preflightHeaders(origin) : {}).end();
      return;
    }
    const requestId = this.requestIdOf(headers);
    const more = this.answerHeaders(requestId, headers);
    const path = pathOf(request.url ?? '');
    const handler = this.handlers.find(path, headers['content-type']);
    requestContext.run({ requestId }, () => {
      if (!handler) {
        refuse(404, request, response, more);
        return;
      }
      const call = rpcCallOf(headers, request.socket.remoteAddress, requestId);
      const begun = this.clock.monotonic();
      response.once('close', () => {
        const status = response.headersSent ? response.statusCode : undefined;
        this.ends.tell(handler.method, call, { begun, status, isAnswered: response.writableEnded });
      });
      void this.answer(handler, path, call, request, response, more);
    });
  }

  private takeStream(stream: ServerHttp2Stream, headers: Http2Headers): boolean {
    if (!this.registrations.takes(headers)) return false;
    const requestId = this.requestIdOf(headers);
    const call = rpcCallOf(headers, stream.session?.socket.remoteAddress, requestId);
    this.tellOf(call, stream);
    const more = this.answerHeaders(requestId, headers);
    requestContext.run({ requestId }, () => void this.registrations.serve(call, stream, headers, more));
    return true;
  }

  /** By itself, so that no headers are kept as long as the stream. */
  private tellOf(call: RpcCall, stream: ServerHttp2Stream): void {
    const begun = this.clock.monotonic();
    // Whatever goes wrong closes it.
    stream.on('error', () => undefined);
    stream.once('close', () => {
      const status = stream.headersSent ? 200 : undefined;
      this.ends.tell(REGISTER, call, { begun, status, isAnswered: stream.writableEnded });
    });
  }

  private requestIdOf({ 'x-request-id': given }: IncomingHttpHeaders): string {
    return typeof given === 'string' && REQUEST_ID.test(given) ? given : this.random.uuid();
  }

  /** Of every answer. */
  private answerHeaders(requestId: string, { origin }: IncomingHttpHeaders): OutgoingHttpHeaders {
    const more = { 'X-Request-Id': requestId, 'X-Content-Type-Options': 'nosniff' };
    return this.isListed(origin) ? { ...more, ...corsHeaders(origin) } : more;
  }

  private isListed(origin: string | undefined): origin is string {
    return origin !== undefined && this.site.isListed(origin);
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
}

function pathOf(url: string): string {
  const query = url.indexOf('?');
  return query < 0 ? url : url.slice(0, query);
}
