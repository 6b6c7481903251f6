import { Code, ConnectError, type HandlerContext } from '@connectrpc/connect';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import type { Caller } from '../routing/caller.js';
import { timeForCalls } from '../routing/time-for-calls.js';
import { type RpcCall, callOf } from './rpc-call.js';
import { type LogUnexpected, connectErrorOf } from './rpc-errors.js';

export interface RpcCallsOptions {
  readonly streamsPerPrincipal: number;
  readonly unexpected: LogUnexpected;
}

/** A stream that is not run here, and still has to end with the service. */
export interface AbortableStream {
  /** Ends it with this error, at once. */
  abort(reason: ConnectError): void;
}

/** How long a call lasts. */
export type CallTime = Pick<HandlerContext, 'signal' | 'timeoutMs'>;

const never = new AbortController().signal;

/** Runs what answers a call: who asks and for how long, errors into codes, and an end to streams when the service ends. */
export class RpcCalls {
  private readonly streams = new Set<AbortableStream>();
  private readonly streamsOf = new Map<string, number>();
  private onEmpty: (() => void) | undefined;

  constructor(private readonly options: RpcCallsOptions) {}

  once<T>(context: HandlerContext, answer: (caller: Caller) => Promise<T>): Promise<T> {
    return this.unary(callOf(context), context, answer);
  }

  async unary<T>(call: RpcCall, context: CallTime, answer: (caller: Caller) => Promise<T>): Promise<T> {
    try {
      const value = await answer(callerOf(call, context));
      call.code = 'ok';
      return value;
    } catch (thrown) {
      throw this.told(call, thrown, context.signal);
    }
  }

  /** A stream of somebody who was let in. */
  live<T>(context: HandlerContext, answer: (caller: Caller) => AsyncIterable<T>): AsyncGenerator<T> {
    return this.stream(context, (signal) => answer({ ...callerOf(callOf(context), context), signal }));
  }

  /** A stream of anybody: for what is public, or finds out itself who it is. */
  async *stream<T>(context: HandlerContext, answer: (signal: AbortSignal) => AsyncIterable<T>): AsyncGenerator<T> {
    const call = callOf(context);
    const end = this.open(call, context.signal);
    try {
      yield* answer(end.signal);
      // A feed may end quietly when its signal aborts; the client has to know that there would have been more.
      end.signal.throwIfAborted();
      call.code = 'ok';
    } catch (thrown) {
      throw this.told(call, thrown, end.signal);
    } finally {
      // The client is gone when the generator is returned before its end.
      call.code ??= codeToString(Code.Canceled);
      this.close(call, end);
    }
  }

  /** From now on the end of the service is its end, until it is released. */
  hold(stream: AbortableStream): void {
    this.streams.add(stream);
  }

  release(stream: AbortableStream): void {
    if (this.streams.delete(stream) && this.streams.size === 0) this.onEmpty?.();
  }

  /** What a caller is told of an error; logs what nobody expected. */
  errorOf(thrown: unknown): ConnectError {
    return connectErrorOf(thrown, never, this.options.unexpected);
  }

  /** Ends every stream with `unavailable`; resolves when they are gone, or at the deadline. */
  async stop(deadline: AbortSignal): Promise<void> {
    const reason = new ConnectError('the service is shutting down; watch again when it is back', Code.Unavailable);
    for (const stream of this.streams) stream.abort(reason);
    if (this.streams.size === 0 || deadline.aborted) return;
    await new Promise<void>((resolve) => {
      this.onEmpty = resolve;
      deadline.addEventListener('abort', () => resolve(), { once: true });
    });
  }

  private told(call: RpcCall, thrown: unknown, signal: AbortSignal): ConnectError {
    const error = connectErrorOf(thrown, signal, this.options.unexpected);
    call.code = codeToString(error.code);
    call.failure = signal.aborted ? error : thrown;
    return error;
  }

  private open(call: RpcCall, signal: AbortSignal): AbortController {
    const owner = ownerOf(call);
    const open = this.streamsOf.get(owner) ?? 0;
    if (call.principal && open >= this.options.streamsPerPrincipal) {
      const limit = `${open} streams of "${call.principal.id}" are open (CROWSNEST_STREAMS_PER_PRINCIPAL)`;
      throw this.told(call, new ConnectError(limit, Code.ResourceExhausted), signal);
    }
    const end = new AbortController();
    if (signal.aborted) end.abort(signal.reason);
    else signal.addEventListener('abort', () => end.abort(signal.reason), { once: true, signal: end.signal });
    this.streams.add(end);
    this.streamsOf.set(owner, open + 1);
    return end;
  }

  private close(call: RpcCall, end: AbortController): void {
    const owner = ownerOf(call);
    const left = (this.streamsOf.get(owner) ?? 1) - 1;
    if (left > 0) this.streamsOf.set(owner, left);
    else this.streamsOf.delete(owner);
    this.release(end);
  }
}

function ownerOf({ principal }: RpcCall): string {
  return principal ? `${principal.tenantId}/${principal.id}` : '';
}

/** @throws AppError of its refusal; Error if the call was not let in */
function callerOf(call: RpcCall, { signal, timeoutMs }: CallTime): Caller {
  const { principal, refusal, gatewayPath, idempotencyKey, commanded } = call;
  if (refusal) throw refusal;
  if (!principal) throw new Error('the RPC was not let in');
  return {
    principal,
    signal,
    /** What is left when it is read: calls made later carry less. */
    get timeoutMs() {
      return timeForCalls(timeoutMs());
    },
    gatewayPath,
    idempotencyKey,
    commanded,
  };
}
