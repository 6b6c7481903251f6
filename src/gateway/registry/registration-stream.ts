import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Clock, Timer } from '../../runtime/clock.js';
import {
  type GatewayMessage,
  GatewayMessageSchema,
  type SubsystemMessage,
} from '../gen/flowwatch/v1/gateway_service_pb.js';
import { PingRoundTrips } from './ping-round-trips.js';
import type { RegistrySession } from './subsystem-registry.js';

/** Messages that wait for a client that reads nothing; a ping beyond is not written. */
const MAX_WAITING = 4;

export interface RegistrationStreamOptions {
  readonly heartbeatMs: number;
  readonly clock: Clock;
  /** Aborts when the client is gone. */
  readonly signal: AbortSignal;
}

/** One accepted registration: pings, pongs, and the request to leave. */
export class RegistrationStream {
  private readonly waiting: GatewayMessage[] = [];
  private readonly roundTrips = new PingRoundTrips();
  private over: { readonly error?: unknown } | undefined;
  private timer: Timer | undefined;
  private wake: () => void = () => undefined;

  constructor(private readonly options: RegistrationStreamOptions) {}

  /** Asks the subsystem to leave, and ends. */
  leave(reason: string): void {
    this.waiting.push(create(GatewayMessageSchema, { msg: { case: 'disconnect', value: { reason } } }));
    this.finish({});
  }

  /** The answers, until one side ends. Throws what went wrong with the messages of the other. */
  async *run(incoming: AsyncIterator<SubsystemMessage>, session: RegistrySession): AsyncGenerator<GatewayMessage> {
    const { heartbeatMs, signal } = this.options;
    const onAbort = (): void => this.finish({});
    signal.addEventListener('abort', onAbort, { once: true });
    if (signal.aborted) onAbort();
    const value = { accepted: true, heartbeatInterval: durationFromMs(heartbeatMs) };
    yield create(GatewayMessageSchema, { msg: { case: 'registered', value } });
    void this.read(incoming, session);
    this.pingLater(session);
    try {
      for (;;) {
        for (let next = this.waiting.shift(); next; next = this.waiting.shift()) yield next;
        if (this.over) break;
        await new Promise<void>((resolve) => (this.wake = resolve));
      }
      if ('error' in this.over) throw this.over.error;
    } finally {
      this.finish({});
      signal.removeEventListener('abort', onAbort);
    }
  }

  private async read(incoming: AsyncIterator<SubsystemMessage>, session: RegistrySession): Promise<void> {
    try {
      for (;;) {
        const next = await incoming.next();
        if (this.over) return;
        if (next.done) break;
        this.take(next.value, session);
      }
      this.finish({});
    } catch (error) {
      this.finish({ error });
    }
  }

  private take({ msg }: SubsystemMessage, session: RegistrySession): void {
    if (msg.case === 'register') {
      throw new ConnectError('this stream has registered already: open another one', Code.InvalidArgument);
    }
    if (msg.case !== 'pong') return;
    const roundTripMs = this.roundTrips.answered(msg.value.timestamp, this.options.clock.monotonic());
    if (roundTripMs !== undefined) session.answered(roundTripMs);
  }

  private pingLater(session: RegistrySession): void {
    if (this.over) return;
    this.timer = this.options.clock.after(this.options.heartbeatMs, () => {
      this.ping(session);
      this.pingLater(session);
    });
  }

  private ping(session: RegistrySession): void {
    const { clock } = this.options;
    const millis = Math.floor(clock.now());
    this.roundTrips.sent(millis, clock.monotonic());
    session.pinged();
    if (this.waiting.length >= MAX_WAITING) return;
    const value = { timestamp: timestampFromMs(millis) };
    this.waiting.push(create(GatewayMessageSchema, { msg: { case: 'ping', value } }));
    this.wake();
  }

  private finish(over: { readonly error?: unknown }): void {
    this.over ??= over;
    this.timer?.cancel();
    this.wake();
  }
}
