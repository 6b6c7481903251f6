import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { ConnectError, type Transport } from '@connectrpc/connect';
import { OutgoingMessages } from '../../src/gateway/client/outgoing-messages.js';
import {
  type GatewayMessage,
  GatewayService,
  type RegisterRequestSchema,
  type SubsystemMessage,
  SubsystemMessageSchema,
} from '../../src/gateway/gen/flowwatch/v1/gateway_service_pb.js';

/** One registration stream in the hands of a test: says nothing by itself. */
export class RegistrationClient {
  readonly received: GatewayMessage[] = [];
  /** What ended the stream; null for a clean end. undefined while it is open. */
  error: ConnectError | null | undefined;
  readonly ended: Promise<void>;
  private readonly outgoing = new OutgoingMessages<SubsystemMessage>();
  private readonly abort = new AbortController();

  constructor(transport: Transport, headers: Record<string, string> = {}) {
    this.ended = this.read(transport, headers);
  }

  static registering(
    transport: Transport,
    request: MessageInitShape<typeof RegisterRequestSchema>,
    headers: Record<string, string> = {},
  ): RegistrationClient {
    const client = new RegistrationClient(transport, headers);
    client.register(request);
    return client;
  }

  register(request: MessageInitShape<typeof RegisterRequestSchema>): void {
    this.outgoing.push(create(SubsystemMessageSchema, { msg: { case: 'register', value: request } }));
  }

  /** As the Go client does: with its own time. */
  pong(millis = 0): void {
    const value = { timestamp: timestampFromMs(millis) };
    this.outgoing.push(create(SubsystemMessageSchema, { msg: { case: 'pong', value } }));
  }

  /** Says that it sends no more. */
  halfClose(): void {
    this.outgoing.close();
  }

  cut(): void {
    this.abort.abort();
  }

  get pings(): number {
    return this.received.filter(({ msg }) => msg.case === 'ping').length;
  }

  /** `registered true`, `ping`, `disconnect <reason>`. */
  get said(): string[] {
    return this.received.map(({ msg }) => {
      if (msg.case === 'registered') return `registered ${msg.value.accepted} ${msg.value.rejectReason}`.trim();
      return msg.case === 'disconnect' ? `disconnect ${msg.value.reason}` : (msg.case ?? 'nothing');
    });
  }

  private async read(transport: Transport, headers: Record<string, string>): Promise<void> {
    try {
      const { register } = GatewayService.method;
      const answer = await transport.stream(register, this.abort.signal, undefined, headers, this.outgoing);
      for await (const message of answer.message) this.received.push(message);
      this.error = null;
    } catch (error) {
      this.error = ConnectError.from(error);
    } finally {
      this.outgoing.close();
    }
  }
}
