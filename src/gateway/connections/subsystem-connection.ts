import type {
  DescMessage,
  DescMethodServerStreaming,
  DescMethodUnary,
  MessageInitShape,
  MessageShape,
} from '@bufbuild/protobuf';
import type { TimeoutBreaker } from './timeout-breaker.js';

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** What is left of the caller's own deadline; the shorter of it and CROWSNEST_GATEWAY_CALL_TIMEOUT holds. */
  readonly timeoutMs?: number | undefined;
  /** Gateways that the request came through, nearest last: the value of `GATEWAY_PATH_HEADER` that arrived. */
  readonly gatewayPath?: string | undefined;
  /** Passed on as `Idempotency-Key`. */
  readonly idempotencyKey?: string | undefined;
}

/** Installation ids of the gateways a request came through, comma-separated: one that finds itself in it refuses. */
export const GATEWAY_PATH_HEADER = 'crowsnest-gateway-path';

/**
 * Port: calls to one subsystem, whichever of its instances lives. Implemented over Connect (binary, HTTP/2 or HTTP/1.1,
 * through the egress policy); by `FakeSubsystemConnection` in tests.
 *
 * All methods reject with a ConnectError: what the subsystem itself answered keeps its code; what went wrong on the way
 * is `unavailable` (not reached, or cut), `deadline_exceeded`, or `resource_exhausted` (answer too large). A message never
 * tells addresses or internals.
 */
export interface SubsystemConnection {
  /** Who asks many at once asks here first whether this one is to be among them. */
  readonly timeouts: TimeoutBreaker;
  /** A read: repeated on another instance if the first was not reached. */
  read<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;
  /**
   * A mutation: sent to one instance, and never again once it may have been received. When whether it took effect is
   * unknown, the error is `unknown` with a message that says so.
   */
  mutate<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options?: CallOptions,
  ): Promise<MessageShape<O>>;
  /** A stream of one instance. Ends with the subsystem's clean end, throws otherwise; no deadline. Backpressure holds. */
  stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    input: MessageInitShape<I>,
    options?: Omit<CallOptions, 'timeoutMs'>,
  ): AsyncIterable<MessageShape<O>>;
}
