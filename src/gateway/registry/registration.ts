import { type Duration, durationFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { Inject, Injectable, Logger } from '@nestjs/common';
import { FailedLogins } from '../../auth/index.js';
import { EgressPolicy } from '../../egress/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import type { GatewayMessage, RegisterRequest, SubsystemMessage } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { Heartbeats } from './heartbeats.js';
import { QueuedRegistrationWire } from './queued-registration-wire.js';
import { RegistrationAdmission, type RegistrationPeer, RegistrationRefused } from './registration-admission.js';
import { RegistrationKeys } from './registration-keys.js';
import { RegistrationPlaces } from './registration-places.js';
import { type RegistrationDesk, RegistrationStream } from './registration-stream.js';
import type { RegistrationWire } from './registration-wire.js';
import { RegistryCounters } from './registry-counters.js';
import type { RegistrySession } from './registry-session.js';
import { SubsystemRegistry } from './subsystem-registry.js';

export interface RegistrationContext {
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
  readonly peerAddress: string;
  readonly headers: Headers;
}

const FIRST_MESSAGE_MS = 5_000;

/** `GatewayService.Register`: who comes in, and for how long. It does its own authentication. */
@Injectable()
export class Registration implements RegistrationDesk {
  private readonly log = new Logger(Registration.name);
  private readonly admission: RegistrationAdmission;
  private readonly places: RegistrationPlaces;
  private readonly heartbeats: Heartbeats;
  private readonly heartbeatInterval: Duration;
  private readonly unregistered = new Set<RegistrationStream>();
  private isStopping = false;
  private onEmpty: (() => void) | undefined;

  constructor(
    registry: SubsystemRegistry,
    keys: RegistrationKeys,
    private readonly counters: RegistryCounters,
    @Inject(EgressPolicy) egress: Pick<EgressPolicy, 'check'>,
    @Inject(FailedLogins) failedLogins: Pick<FailedLogins, 'record'>,
    @Inject(gatewayConfig.token)
    config: Pick<GatewayConfig, 'heartbeatMs' | 'registrationStreams' | 'streamsPerAddress'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.admission = new RegistrationAdmission({ registry, keys, egress, failedLogins });
    this.places = new RegistrationPlaces(config.registrationStreams, config.streamsPerAddress);
    this.heartbeats = new Heartbeats(config.heartbeatMs, clock);
    this.heartbeatInterval = durationFromMs(config.heartbeatMs);
  }

  /**
   * One stream, whose answers go to `wire`. It ends with a ConnectError: `unauthenticated`, `permission_denied`,
   * `invalid_argument`, `already_exists`, `deadline_exceeded` (no first message), `unavailable` (the service ends).
   *
   * @param authorization the header, which is looked at before anything that the client sends
   * @throws ConnectError `unauthenticated`, `resource_exhausted`, `unavailable`
   */
  open(peerAddress: string, authorization: string | undefined, wire: RegistrationWire): RegistrationStream {
    if (this.isStopping) throw endOfService();
    const peer: RegistrationPeer = { peerAddress, headerKey: bearerOf(authorization) };
    const place = this.places.take(peerAddress);
    if (typeof place === 'string') {
      this.counters.refused(Code.ResourceExhausted);
      throw new ConnectError(place, Code.ResourceExhausted);
    }
    try {
      this.admission.requireKnownKey(peer);
    } catch (error) {
      place.giveBack();
      this.refused(peer, error);
      throw error;
    }
    const stream = new RegistrationStream(wire, this, peer, place);
    this.unregistered.add(stream);
    stream.late = this.clock.after(FIRST_MESSAGE_MS, () => {
      const message = `no registration came within ${FIRST_MESSAGE_MS / 1_000} s`;
      stream.fail(new ConnectError(message, Code.DeadlineExceeded));
    });
    return stream;
  }

  /** The same with iterables. Throws what the stream ends with. */
  async *register(
    messages: AsyncIterable<SubsystemMessage>,
    { signal, peerAddress, headers }: RegistrationContext,
  ): AsyncGenerator<GatewayMessage> {
    const wire = new QueuedRegistrationWire();
    const stream = this.open(peerAddress, headers.get('authorization') ?? undefined, wire);
    const incoming = messages[Symbol.asyncIterator]();
    // Whoever has stopped reading the answers does not say so by the end of this generator.
    const gone = (): void => stream.gone();
    signal.addEventListener('abort', gone, { once: true });
    if (signal.aborted) gone();
    void readInto(stream, incoming);
    try {
      yield* wire.messages();
    } finally {
      signal.removeEventListener('abort', gone);
      gone();
      // Not awaited: it may wait for the next message of a client that sends none.
      void incoming.return?.().catch(() => undefined);
    }
  }

  get streams(): number {
    return this.places.count;
  }

  /** Refuses new streams; resolves when the open ones are over, which the registry has told to leave. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.isStopping = true;
    for (const stream of this.unregistered) stream.fail(endOfService());
    if (this.places.count === 0 || deadline.aborted) return;
    await new Promise<void>((resolve) => {
      this.onEmpty = resolve;
      deadline.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  now(): number {
    return this.clock.monotonic();
  }

  decide(stream: RegistrationStream, request: RegisterRequest): void {
    const { peer } = stream;
    let session: RegistrySession;
    try {
      session = this.admission.admit(request, peer, (reason) => stream.leave(reason));
    } catch (error) {
      if (error instanceof RegistrationRefused) stream.reject(error.reason, error.code);
      else stream.fail(error);
      return;
    }
    this.unregistered.delete(stream);
    this.counters.accepted();
    const { id: subsystemId, tenantId } = session.subsystem;
    const { peerAddress } = peer;
    this.log.log({ message: 'a subsystem has registered', subsystemId, tenantId, peerAddress });
    stream.accept(session, this.heartbeatInterval);
    if (!stream.isOver) this.heartbeats.add(stream);
  }

  refused({ peerAddress }: Pick<RegistrationPeer, 'peerAddress'>, error: unknown): void {
    const { rawMessage: reason, code } = ConnectError.from(error);
    this.counters.refused(code);
    this.log.warn({ message: 'a registration was refused', reason, peerAddress });
  }

  left(stream: RegistrationStream): void {
    this.unregistered.delete(stream);
    this.heartbeats.remove(stream);
    if (this.places.count === 0) this.onEmpty?.();
  }
}

async function readInto(stream: RegistrationStream, incoming: AsyncIterator<SubsystemMessage>): Promise<void> {
  try {
    while (!stream.isOver) {
      const next = await incoming.next();
      if (next.done) break;
      stream.take(next.value);
    }
    stream.inputEnded();
  } catch (error) {
    stream.fail(error);
  }
}

function bearerOf(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
}

function endOfService(): ConnectError {
  return new ConnectError('the gateway is shutting down: register again later', Code.Unavailable);
}
