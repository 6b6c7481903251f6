import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { durationMs } from '@bufbuild/protobuf/wkt';
import { ConnectError, type Transport } from '@connectrpc/connect';
import type { Clock, Timer } from '../../runtime/clock.js';
import {
  type GatewayMessage,
  GatewayService,
  type RegisterRequestSchema,
  type SubsystemMessage,
  SubsystemMessageSchema,
} from '../gen/flowwatch/v1/gateway_service_pb.js';
import { OutgoingMessages } from './outgoing-messages.js';

export interface SessionEnd {
  /** `refused`, `left`: the gateway said so. `ended`: without a word. `failed`: with `error`. */
  readonly end: 'refused' | 'left' | 'ended' | 'failed';
  readonly reason: string;
  readonly error?: unknown;
}

export interface RegistrationSessionOptions {
  readonly transport: Transport;
  readonly headers: Readonly<Record<string, string>>;
  readonly request: MessageInitShape<typeof RegisterRequestSchema>;
  readonly clock: Clock;
  readonly onRegistered: (heartbeatMs: number) => void;
}

/** For the first answer; then three heartbeats. */
const FIRST_ANSWER_MS = 15_000;
const SILENT_HEARTBEATS = 3;

/** One registration stream, from the registration to its end. */
export class RegistrationSession {
  private readonly outgoing = new OutgoingMessages<SubsystemMessage>();
  private readonly silence = new AbortController();
  private allowedSilenceMs = FIRST_ANSWER_MS;
  private timer: Timer | undefined;

  constructor(private readonly options: RegistrationSessionOptions) {}

  /** Never rejects. */
  async run(stop: AbortSignal): Promise<SessionEnd> {
    const { transport, headers, request } = this.options;
    const signal = AbortSignal.any([stop, this.silence.signal]);
    this.outgoing.push(create(SubsystemMessageSchema, { msg: { case: 'register', value: request } }));
    this.heard();
    try {
      const { register } = GatewayService.method;
      const answer = await transport.stream(register, signal, undefined, headers, this.outgoing);
      for await (const message of answer.message) {
        this.heard();
        const end = this.take(message);
        if (end) return end;
      }
      return { end: 'ended', reason: 'the gateway has ended the stream' };
    } catch (error) {
      if (this.silence.signal.aborted && !stop.aborted) {
        return { end: 'ended', reason: `the gateway was silent for ${this.allowedSilenceMs} ms` };
      }
      return { end: 'failed', reason: ConnectError.from(error).message, error };
    } finally {
      this.timer?.cancel();
      this.outgoing.close();
      this.silence.abort();
    }
  }

  private take({ msg }: GatewayMessage): SessionEnd | undefined {
    switch (msg.case) {
      case 'registered': {
        const { accepted, rejectReason, heartbeatInterval } = msg.value;
        if (!accepted) return { end: 'refused', reason: rejectReason };
        const heartbeatMs = heartbeatInterval ? durationMs(heartbeatInterval) : 0;
        if (heartbeatMs > 0) this.allowedSilenceMs = heartbeatMs * SILENT_HEARTBEATS;
        this.heard();
        this.options.onRegistered(heartbeatMs);
        return undefined;
      }
      case 'ping':
        this.outgoing.push(create(SubsystemMessageSchema, { msg: { case: 'pong', value: msg.value } }));
        return undefined;
      case 'disconnect':
        return { end: 'left', reason: msg.value.reason };
      default:
        return undefined;
    }
  }

  private heard(): void {
    this.timer?.cancel();
    this.timer = this.options.clock.after(this.allowedSilenceMs, () => this.silence.abort());
  }
}
