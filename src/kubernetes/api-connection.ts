import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';

export interface ExchangeRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  /** Ends the exchange at any point, its body with the signal's reason. */
  readonly signal: AbortSignal;
}

/** An answer whose head has arrived. */
export interface Exchange {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Readable;
  /** Asked after the end of the body: whether the server ended it, or the connection broke. */
  isComplete(): boolean;
}

/** One connection of an API server: HTTP/2 with many exchanges, or HTTP/1.1 with one. */
export interface ApiConnection {
  /** Exchanges that it carries at a time. */
  readonly capacity: number;
  /** False once no further exchange may be started; those in progress go on. */
  readonly isUsable: boolean;
  /** Resolves when nothing is left of it. */
  readonly gone: Promise<void>;
  /** Rejects with ConnectionCut, or the signal's reason. */
  send(request: ExchangeRequest): Promise<Exchange>;
  /** Cuts what is in progress; resolves when the socket is closed. */
  close(): Promise<void>;
}

/** The connection broke under an exchange. */
export class ConnectionCut extends Error {
  constructor(
    message: string,
    /** Whether the server cannot have acted on the request, so that any request may be sent again. */
    readonly unprocessed: boolean,
    cause?: unknown,
  ) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'ConnectionCut';
  }
}
