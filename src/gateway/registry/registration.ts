import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { FailedLogins } from '../../auth/index.js';
import { EgressPolicy, EgressRefused } from '../../egress/index.js';
import { parseHostAddress } from '../../egress/ip-address.js';
import { abortable } from '../../runtime/abortable.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import {
  type GatewayMessage,
  GatewayMessageSchema,
  type RegisterRequest,
  type SubsystemMessage,
} from '../gen/flowwatch/v1/gateway_service_pb.js';
import { readRegisterRequest } from './register-request.js';
import { RegistrationKeys } from './registration-keys.js';
import { RegistrationPlaces } from './registration-places.js';
import { RegistrationStream } from './registration-stream.js';
import { RegistryCounters } from './registry-counters.js';
import { type RegistrySession, SubsystemIdTaken, SubsystemRegistry } from './subsystem-registry.js';

export interface RegistrationContext {
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
  readonly peerAddress: string;
  readonly headers: Headers;
}

const FIRST_MESSAGE_MS = 5_000;

/** What is said to a subsystem before its stream is ended with an error. */
class Refused {
  constructor(
    readonly reason: string,
    readonly code: Code,
  ) {}
}

/** `GatewayService.Register`: who comes in, and for how long. It does its own authentication. */
@Injectable()
export class Registration {
  private readonly log = new Logger(Registration.name);
  private readonly places: RegistrationPlaces;
  private readonly stopping = new AbortController();
  private onEmpty: (() => void) | undefined;

  constructor(
    private readonly registry: SubsystemRegistry,
    private readonly keys: RegistrationKeys,
    private readonly counters: RegistryCounters,
    @Inject(EgressPolicy) private readonly egress: Pick<EgressPolicy, 'check'>,
    @Inject(FailedLogins) private readonly failedLogins: Pick<FailedLogins, 'record'>,
    @Inject(gatewayConfig.token)
    private readonly config: Pick<GatewayConfig, 'heartbeatMs' | 'registrationStreams'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.places = new RegistrationPlaces(config.registrationStreams);
  }

  /**
   * The answers to one stream. Throws ConnectError: `unauthenticated`, `permission_denied`, `invalid_argument`,
   * `already_exists`, `deadline_exceeded` (no first message), `resource_exhausted`, `unavailable` (the service ends).
   */
  async *register(
    messages: AsyncIterable<SubsystemMessage>,
    context: RegistrationContext,
  ): AsyncGenerator<GatewayMessage> {
    if (this.stopping.signal.aborted) throw endOfService();
    const place = this.places.take(context.peerAddress);
    if (typeof place === 'string') {
      this.counters.refused(Code.ResourceExhausted);
      throw new ConnectError(place, Code.ResourceExhausted);
    }
    const incoming = messages[Symbol.asyncIterator]();
    const over = (): void => {
      place();
      if (this.places.count === 0) this.onEmpty?.();
    };
    // Whoever has stopped reading the answers does not say so by the end of this generator.
    context.signal.addEventListener('abort', over, { once: true });
    try {
      yield* this.serve(incoming, context);
    } finally {
      context.signal.removeEventListener('abort', over);
      over();
      // Not awaited: it may wait for the next message of a client that sends none.
      void incoming.return?.().catch(() => undefined);
    }
  }

  get streams(): number {
    return this.places.count;
  }

  /** Refuses new streams; resolves when the open ones are over, which the registry has told to leave. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.stopping.abort(endOfService());
    if (this.places.count === 0 || deadline.aborted) return;
    await new Promise<void>((resolve) => {
      this.onEmpty = resolve;
      deadline.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  private async *serve(
    incoming: AsyncIterator<SubsystemMessage>,
    context: RegistrationContext,
  ): AsyncGenerator<GatewayMessage> {
    const { signal, peerAddress } = context;
    const stream = new RegistrationStream({ heartbeatMs: this.config.heartbeatMs, clock: this.clock, signal });
    let session: RegistrySession;
    try {
      session = this.open(await this.authenticatedRequest(incoming, context), context, stream);
    } catch (error) {
      const { reason, code } = error instanceof Refused ? error : refusalOf(error);
      this.counters.refused(code);
      this.log.warn({ message: 'a registration was refused', reason, peerAddress });
      if (!(error instanceof Refused)) throw error;
      const value = { accepted: false, rejectReason: reason };
      yield create(GatewayMessageSchema, { msg: { case: 'registered', value } });
      throw new ConnectError(reason, code);
    }
    this.counters.accepted();
    const close = (): void => session.close();
    signal.addEventListener('abort', close, { once: true });
    try {
      yield* stream.run(incoming, session);
    } finally {
      signal.removeEventListener('abort', close);
      close();
    }
  }

  /** A key in a header is looked at before anything of the body is read. */
  private async authenticatedRequest(
    incoming: AsyncIterator<SubsystemMessage>,
    { signal, headers, peerAddress }: RegistrationContext,
  ): Promise<RegisterRequest & { readonly tenantId: string }> {
    const headerKey = bearerOf(headers);
    if (headerKey !== undefined && !this.keys.isKnown(headerKey)) {
      this.failedLogins.record(peerAddress);
      throw new ConnectError('the key of the Authorization header is wrong', Code.Unauthenticated);
    }
    const request = await this.firstMessage(incoming, signal);
    const verdict = this.keys.judge(headerKey ?? request.apiKey, request.subsystemId);
    if (verdict === 'wrong') {
      this.failedLogins.record(peerAddress);
      throw new Refused('the key is missing or wrong', Code.Unauthenticated);
    }
    if (verdict === 'foreign') throw new Refused('the key is not for this subsystem id', Code.PermissionDenied);
    return { ...request, tenantId: verdict.tenantId };
  }

  private async firstMessage(incoming: AsyncIterator<SubsystemMessage>, signal: AbortSignal): Promise<RegisterRequest> {
    const late = new AbortController();
    const timer = this.clock.after(FIRST_MESSAGE_MS, () => {
      const message = `no registration came within ${FIRST_MESSAGE_MS / 1_000} s`;
      late.abort(new ConnectError(message, Code.DeadlineExceeded));
    });
    try {
      const first = await abortable(incoming.next(), AbortSignal.any([signal, late.signal, this.stopping.signal]));
      if (!first.done && first.value.msg.case === 'register') return first.value.msg.value;
      throw new ConnectError('the first message must be `register`', Code.InvalidArgument);
    } finally {
      timer.cancel();
    }
  }

  private open(
    request: RegisterRequest & { readonly tenantId: string },
    { peerAddress }: RegistrationContext,
    stream: RegistrationStream,
  ): RegistrySession {
    const { endpoint, ...said } = readRegisterRequest(request);
    this.requireAllowed(endpoint.host);
    const { tenantId, capabilities, workflows } = request;
    const first = { capabilities, workflows: workflows.slice(0, MAX_ANNOUNCED_WORKFLOWS) };
    const end = (reason: string): void => stream.leave(reason);
    try {
      const session = this.registry.open({
        ...said,
        endpoint: endpoint.origin,
        tenantId,
        source: 'stream',
        end,
        first,
      });
      this.log.log({ message: 'a subsystem has registered', subsystemId: said.id, tenantId, peerAddress });
      return session;
    } catch (error) {
      if (error instanceof SubsystemIdTaken) throw new Refused('the subsystem id is taken', Code.AlreadyExists);
      throw error;
    }
  }

  /** A literal address is judged at once, a name each time that it is resolved. */
  private requireAllowed(host: string): void {
    try {
      const address = parseHostAddress(host);
      if (address) this.egress.check(address);
    } catch (error) {
      if (!(error instanceof EgressRefused)) throw error;
      throw new Refused(`flowwatch_endpoint: ${error.detail}`, Code.PermissionDenied);
    }
  }
}

/** Of the registration itself, which is only a first guess. */
const MAX_ANNOUNCED_WORKFLOWS = 1_000;

function refusalOf(error: unknown): Refused {
  const { rawMessage, code } = ConnectError.from(error);
  return new Refused(rawMessage, code);
}

function bearerOf(headers: Headers): string | undefined {
  return /^Bearer +(\S+)$/i.exec(headers.get('authorization') ?? '')?.[1];
}

function endOfService(): ConnectError {
  return new ConnectError('the gateway is shutting down: register again later', Code.Unavailable);
}
