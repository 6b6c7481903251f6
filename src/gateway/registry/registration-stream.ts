import { type MessageInitShape, create } from '@bufbuild/protobuf';
import type { Duration } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Timer } from '../../runtime/clock.js';
import {
  GatewayMessageSchema,
  type RegisterRequest,
  type SubsystemMessage,
} from '../gen/flowwatch/v1/gateway_service_pb.js';
import type { Heartbeat, Pinged } from './heartbeats.js';
import { PingRoundTrips } from './ping-round-trips.js';
import type { RegistrationPeer } from './registration-admission.js';
import type { RegistrationPlace } from './registration-places.js';
import type { RegistrationInput, RegistrationWire } from './registration-wire.js';
import type { RegistrySession } from './registry-session.js';

/** Port: who decides about streams. */
export interface RegistrationDesk {
  /** Accepts the stream, rejects it or lets it fail, at once. */
  decide(stream: RegistrationStream, request: RegisterRequest): void;
  /** A stream ends without having been accepted. */
  refused(peer: RegistrationPeer, error: unknown): void;
  /** Told once of each stream. */
  left(stream: RegistrationStream): void;
  /** Monotonic. */
  now(): number;
}

/**
 * One registration stream: the registration, pings and pongs, and the request to leave. A thousand of them stand idle, so
 * it is told by calls what happens, and an idle one keeps neither a promise nor a timer of its own.
 */
export class RegistrationStream implements Pinged, RegistrationInput {
  /** Runs until the first message is there. */
  late: Timer | undefined;
  private readonly roundTrips = new PingRoundTrips();
  private session: RegistrySession | undefined;
  private hasAsked = false;
  private isEnded = false;

  constructor(
    private readonly wire: RegistrationWire,
    private readonly desk: RegistrationDesk,
    readonly peer: RegistrationPeer,
    private readonly place: RegistrationPlace,
  ) {}

  get isOver(): boolean {
    return this.isEnded;
  }

  take({ msg }: SubsystemMessage): void {
    if (this.isEnded) return;
    if (msg.case === 'register') this.ask(msg.value);
    else if (!this.session) this.fail(noRegistration());
    else if (msg.case === 'pong') {
      const roundTripMs = this.roundTrips.answered(msg.value.timestamp, this.desk.now());
      if (roundTripMs !== undefined) this.session.answered(roundTripMs);
    }
  }

  inputEnded(): void {
    if (this.session) this.finish();
    else this.fail(noRegistration());
  }

  fail(error: unknown): void {
    if (this.isEnded) return;
    if (!this.session) this.desk.refused(this.peer, error);
    this.finish(error);
  }

  gone(): void {
    if (this.session) this.finish();
    else this.fail(new ConnectError('the client is gone', Code.Canceled));
  }

  accept(session: RegistrySession, heartbeatInterval: Duration): void {
    // Whoever hears of a new session may end it at once.
    if (this.isEnded) {
      session.close();
      return;
    }
    this.session = session;
    this.place.registered();
    this.send({ msg: { case: 'registered', value: { accepted: true, heartbeatInterval } } });
  }

  /** Says why, then ends. */
  reject(rejectReason: string, code: Code): void {
    this.send({ msg: { case: 'registered', value: { accepted: false, rejectReason } } });
    this.fail(new ConnectError(rejectReason, code));
  }

  /** Asks the subsystem to leave, and ends. */
  leave(reason: string): void {
    if (this.isEnded) return;
    this.send({ msg: { case: 'disconnect', value: { reason } } });
    this.finish();
  }

  beat(heartbeat: Heartbeat): void {
    if (this.isEnded || !this.session) return;
    this.roundTrips.sent(heartbeat);
    this.session.pinged();
    if (!this.wire.isClogged) this.wire.send(heartbeat.ping);
  }

  private ask(request: RegisterRequest): void {
    if (this.hasAsked) {
      this.fail(new ConnectError('this stream has registered already: open another one', Code.InvalidArgument));
      return;
    }
    this.hasAsked = true;
    this.late?.cancel();
    this.late = undefined;
    this.desk.decide(this, request);
  }

  private send(message: MessageInitShape<typeof GatewayMessageSchema>): void {
    this.wire.send(create(GatewayMessageSchema, message));
  }

  private finish(error?: unknown): void {
    if (this.isEnded) return;
    this.isEnded = true;
    this.late?.cancel();
    this.session?.close();
    this.place.giveBack();
    this.desk.left(this);
    this.wire.end(error);
  }
}

function noRegistration(): ConnectError {
  return new ConnectError('the first message must be `register`', Code.InvalidArgument);
}
