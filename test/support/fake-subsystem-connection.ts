import {
  type DescMessage,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  type MessageInitShape,
  type MessageShape,
  create,
} from '@bufbuild/protobuf';
import { Code, ConnectError, type ConnectRouter, type Transport, createRouterTransport } from '@connectrpc/connect';
import {
  type CallOptions,
  GATEWAY_PATH_HEADER,
  type SubsystemConnection,
} from '../../src/gateway/connections/subsystem-connection.js';
import { AnsweredError, shownAnswer } from '../../src/gateway/connections/subsystem-error.js';
import { abortable } from '../../src/runtime/abortable.js';
import { TimeoutBreaker } from '../../src/gateway/connections/timeout-breaker.js';
import type { Clock } from '../../src/runtime/clock.js';
import type { Random } from '../../src/runtime/random.js';
import { FakeClock } from './fake-clock.js';

export interface RecordedCall {
  readonly kind: 'read' | 'mutate' | 'stream';
  /** As in the `.proto`: `GetRun`. */
  readonly method: string;
  readonly input: unknown;
  readonly options: CallOptions;
}

/** Without jitter. */
const steady: Random = { float: () => 0, bytes: (length) => Buffer.alloc(length), uuid: () => '' };

type Fault = { readonly error: ConnectError } | { readonly until: Promise<void> };

/**
 * A subsystem in memory: its services are connect-es implementations, called through the wire form of each message.
 * With a clock it keeps deadlines.
 */
export class FakeSubsystemConnection implements SubsystemConnection {
  readonly calls: RecordedCall[] = [];
  readonly timeouts: TimeoutBreaker;
  closed = false;
  private readonly transport: Transport;
  private readonly faults = new Map<string, Fault>();

  constructor(
    routes: (router: ConnectRouter) => void = () => undefined,
    private readonly timing: { readonly clock?: Clock; readonly callTimeoutMs?: number } = {},
  ) {
    this.transport = createRouterTransport(routes);
    const { clock = new FakeClock(), callTimeoutMs = 10_000 } = timing;
    this.timeouts = new TimeoutBreaker(clock, steady, callTimeoutMs);
  }

  /** Calls of one method (`GetRun`), or all. */
  count(method?: string): number {
    return method === undefined ? this.calls.length : this.calls.filter((call) => call.method === method).length;
  }

  /** Calls of the method (`GetRun`; all: `*`) fail so from now on. */
  fail(method: string, code: Code, message = 'it was told to fail'): void {
    this.failWith(method, new ConnectError(message, code));
  }

  failWith(method: string, error: ConnectError): void {
    this.faults.set(method, { error });
  }

  /** Calls of the method hang until the returned function is called, their deadline passes or they are aborted. */
  hang(method: string): () => void {
    const { promise, resolve } = Promise.withResolvers<void>();
    const fault = { until: promise };
    this.faults.set(method, fault);
    return () => {
      if (this.faults.get(method) === fault) this.faults.delete(method);
      resolve();
    };
  }

  /** Takes back `fail` and `hang` for calls to come. */
  heal(method: string): void {
    this.faults.delete(method);
  }

  read<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    return this.call('read', method, input, options);
  }

  mutate<I extends DescMessage, O extends DescMessage>(
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions = {},
  ): Promise<MessageShape<O>> {
    return this.call('mutate', method, input, options);
  }

  async *stream<I extends DescMessage, O extends DescMessage>(
    method: DescMethodServerStreaming<I, O>,
    input: MessageInitShape<I>,
    options: Omit<CallOptions, 'timeoutMs'> = {},
  ): AsyncIterable<MessageShape<O>> {
    this.record('stream', method, input, options);
    const cut = new AbortController();
    const signal = options.signal ? AbortSignal.any([options.signal, cut.signal]) : cut.signal;
    let messages: AsyncIterator<MessageShape<O>> | undefined;
    try {
      await this.fault(method, signal);
      const answer = await this.transport.stream(method, signal, undefined, headers(options), once(method, input));
      // Not `yield*`: that waits for the subsystem to end its stream when the consumer leaves.
      messages = answer.message[Symbol.asyncIterator]();
      for (let next = await messages.next(); !next.done; next = await messages.next()) yield next.value;
    } catch (error) {
      throw shown(error, options.signal, false);
    } finally {
      // A consumer that leaves early takes its leave from the subsystem too.
      cut.abort(new ConnectError('no longer read', Code.Canceled));
      messages?.return?.().catch(() => undefined);
    }
  }

  /** As the real one's. */
  close(): void {
    this.closed = true;
  }

  private async call<I extends DescMessage, O extends DescMessage>(
    kind: 'read' | 'mutate',
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
    options: CallOptions,
  ): Promise<MessageShape<O>> {
    this.record(kind, method, input, options);
    const deadline = new AbortController();
    const timeoutMs = Math.min(options.timeoutMs ?? Infinity, this.timing.callTimeoutMs ?? Infinity);
    const timer =
      Number.isFinite(timeoutMs) &&
      this.timing.clock?.after(timeoutMs, () => deadline.abort(tooLate(kind === 'mutate')));
    const signal = options.signal ? AbortSignal.any([options.signal, deadline.signal]) : deadline.signal;
    try {
      await this.fault(method, signal);
      return (await this.transport.unary(method, signal, undefined, headers(options), create(method.input, input)))
        .message;
    } catch (error) {
      throw deadline.signal.aborted ? deadline.signal.reason : shown(error, options.signal, kind === 'mutate');
    } finally {
      if (timer) timer.cancel();
    }
  }

  private record(kind: RecordedCall['kind'], method: DescMethod, input: unknown, options: CallOptions): void {
    this.calls.push({ kind, method: method.name, input, options });
  }

  private async fault(method: DescMethod, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    if (this.closed) throw new ConnectError('the connection is closed', Code.Unavailable);
    const fault = this.faults.get(method.name) ?? this.faults.get('*');
    if (!fault) return;
    if ('error' in fault) throw fault.error;
    await abortable(fault.until, signal);
  }
}

function headers({ gatewayPath, idempotencyKey }: CallOptions): Headers {
  const carried = new Headers();
  if (gatewayPath !== undefined) carried.set(GATEWAY_PATH_HEADER, gatewayPath);
  if (idempotencyKey !== undefined) carried.set('idempotency-key', idempotencyKey);
  return carried;
}

async function* once<I extends DescMessage>(
  method: { input: I },
  input: MessageInitShape<I>,
): AsyncIterable<MessageShape<I>> {
  yield await Promise.resolve(create(method.input, input));
}

function tooLate(isMutation: boolean): ConnectError {
  return isMutation
    ? new ConnectError(
        'subsystem billing: it did not answer in time: whether it took effect is not known',
        Code.Unknown,
      )
    : new ConnectError('subsystem billing: it did not answer in time', Code.DeadlineExceeded);
}

function shown(error: unknown, signal: AbortSignal | undefined, isMutation: boolean): ConnectError {
  if (signal?.aborted) return ConnectError.from(signal.reason, Code.Canceled);
  return shownAnswer(new AnsweredError(ConnectError.from(error)), 'billing', isMutation);
}
