import type { GatewayMessage } from '../gen/flowwatch/v1/gateway_service_pb.js';
import type { RegistrationWire } from './registration-wire.js';

/** Messages that wait for a client that reads nothing. */
const MAX_WAITING = 4;

/** The answers as an iterable, for whoever writes a stream by iterating. */
export class QueuedRegistrationWire implements RegistrationWire {
  private readonly waiting: GatewayMessage[] = [];
  private over: { readonly error?: unknown } | undefined;
  private wake: () => void = () => undefined;

  get isClogged(): boolean {
    return this.waiting.length >= MAX_WAITING;
  }

  send(message: GatewayMessage): void {
    this.waiting.push(message);
    this.wake();
  }

  end(error?: unknown): void {
    this.over = error === undefined ? {} : { error };
    this.wake();
  }

  /** Once. Throws what the stream ended with. */
  async *messages(): AsyncGenerator<GatewayMessage> {
    for (;;) {
      for (let next = this.waiting.shift(); next; next = this.waiting.shift()) yield next;
      if (this.over) break;
      await new Promise<void>((resolve) => (this.wake = resolve));
    }
    if ('error' in this.over) throw this.over.error;
  }
}
