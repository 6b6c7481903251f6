import type { CallScope } from './call-scope.js';

/** Plain names in lower case; what a request carries beside its pseudo-headers. */
export type WireHeaders = Readonly<Record<string, string>>;

export interface WireRequest {
  /** `/flowwatch.v1.RunService/GetRun` */
  readonly path: string;
  readonly headers: WireHeaders;
  readonly body: Uint8Array;
}

export interface WireHead {
  readonly status: number;
  readonly contentType: string;
  readonly encoding: string;
}

export interface WireAnswer extends WireHead {
  readonly body: Uint8Array;
}

export interface WireStream extends WireHead {
  /** Ends with the peer's clean end, throws CallFailure otherwise. Not read, it holds the peer back. */
  readonly chunks: AsyncIterable<Uint8Array>;
}

/** A way to one instance that is open. Rejects with CallFailure, or with the reason of the scope. */
export interface Link {
  readonly isUsable: boolean;
  /** Whether it takes one more call now. */
  readonly hasRoom: boolean;
  /** Whether it has been called before: what is cut on a fresh one is not worth another try. */
  readonly wasUsed: boolean;
  /** The whole answer, of at most `maxBytes`. */
  send(request: WireRequest, maxBytes: number, scope: CallScope): Promise<WireAnswer>;
  open(request: WireRequest, scope: CallScope): Promise<WireStream>;
  /** Takes no further call; closes when those in progress have ended. */
  retire(): void;
  /** Ends all calls in progress. */
  close(): void;
}
