import type { GatewayMessage, SubsystemMessage } from '../gen/flowwatch/v1/gateway_service_pb.js';

/** Port: the way of the answers of one registration stream to its client. Its methods do not throw. */
export interface RegistrationWire {
  /** Whether the client reads too slowly for pings: they are left out. */
  readonly isClogged: boolean;
  send(message: GatewayMessage): void;
  /** Ends the stream after what was sent, with an error if there is one. Called at most once, and last. */
  end(error?: unknown): void;
}

/** What is told of the client's side of one registration stream. Its methods do not throw. */
export interface RegistrationInput {
  take(message: SubsystemMessage): void;
  /** The client sends no more: the end of what it has registered. */
  inputEnded(): void;
  /** Ends the stream: what the client sends cannot be read, or it waits for what will not be. */
  fail(error: unknown): void;
  gone(): void;
}
