import type { DescMessage, DescMethod, DescService, MessageShape } from '@bufbuild/protobuf';
import type { ConnectRouter, HandlerContext, MethodImpl } from '@connectrpc/connect';
import { abortable } from '../../runtime/abortable.js';
import type { Answer, Answers, Feed } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';
import { CommandedRuns } from '../routing/commanded-runs.js';
import { requireWithinLimits } from '../routing/request-rules.js';
import { setReservations } from './answer-headers.js';
import { accessOf } from './rpc-access.js';
import { callOf } from './rpc-call.js';
import type { RpcCalls } from './rpc-calls.js';

export type AnswerOnce<I extends DescMessage, O extends DescMessage> = (
  caller: Caller,
  request: MessageShape<I>,
) => Promise<Answer<MessageShape<O>>>;
type AnswerLive<I extends DescMessage, O extends DescMessage> = (
  caller: Caller,
  request: MessageShape<I>,
) => Feed<MessageShape<O>>;

export type UnaryMethod<I extends DescMessage, O extends DescMessage> = Method<'unary', I, O>;

type Method<K extends DescMethod['methodKind'], I extends DescMessage, O extends DescMessage> = DescMethod & {
  readonly methodKind: K;
  readonly input: I;
  readonly output: O;
};

/** Puts what answers a service behind its RPCs. */
export class AnswerBinder {
  constructor(private readonly calls: RpcCalls) {}

  /** Every RPC of the service. The types see to it that none is missing. */
  bind<S extends DescService>(router: ConnectRouter, service: S, answers: Answers<S>): void {
    const byLocalName = answers as unknown as Readonly<Record<string, (...args: never[]) => unknown>>;
    for (const method of service.methods) {
      const answer = byLocalName[method.localName]?.bind(answers);
      if (!answer) throw new Error(`nothing answers ${method.toString()}`);
      if (isKind(method, 'unary')) this.bindUnary(router, method, answer as AnswerOnce<DescMessage, DescMessage>);
      else if (isKind(method, 'server_streaming')) {
        this.bindStream(router, method, answer as AnswerLive<DescMessage, DescMessage>);
      } else throw new Error(`${method.toString()} is not of a kind that can be bound`);
    }
  }

  bindUnary<I extends DescMessage, O extends DescMessage>(
    router: ConnectRouter,
    method: UnaryMethod<I, O>,
    answer: AnswerOnce<I, O>,
  ): void {
    const isChange = accessOf(method) !== 'viewer';
    const handle = (request: MessageShape<I>, context: HandlerContext): Promise<MessageShape<O>> => {
      if (isChange) Object.assign(callOf(context), { request, commanded: new CommandedRuns() });
      return this.calls.once(context, async (caller) => {
        const { value, failures, notes } = await inTime(caller, answer(caller, requireWithinLimits(request)));
        setReservations(context.responseHeader, { failures, notes });
        return value;
      });
    };
    router.rpc(method, handle as MethodImpl<typeof method>);
  }

  bindStream<I extends DescMessage, O extends DescMessage>(
    router: ConnectRouter,
    method: Method<'server_streaming', I, O>,
    answer: AnswerLive<I, O>,
  ): void {
    const handle = (request: MessageShape<I>, context: HandlerContext): AsyncIterable<MessageShape<O>> =>
      this.calls.live(context, (caller) => {
        const feed = answer(caller, request);
        const headersOf = (): Headers => {
          setReservations(context.responseHeader, feed);
          return context.responseHeader;
        };
        if (feed.beginsAtOnce !== true) callOf(context).streamBegun?.(headersOf);
        return withReservations(feed, headersOf);
      });
    router.rpc(method, handle as MethodImpl<typeof method>);
  }
}

/** Not every answer looks at the signal all the time, and a deadline is a promise. */
export function inTime<T>({ timeoutMs, signal }: Caller, answered: Promise<T>): Promise<T> {
  return timeoutMs === undefined ? answered : abortable(answered, signal);
}

function isKind<K extends DescMethod['methodKind']>(
  method: DescMethod,
  kind: K,
): method is Method<K, DescMessage, DescMessage> {
  return method.methodKind === kind;
}

/** Headers leave with the first message, if not before; who is missing is known when it is there. */
async function* withReservations<T>(feed: Feed<T>, setHeaders: () => void): AsyncGenerator<T> {
  let isBegun = false;
  for await (const message of feed) {
    if (!isBegun) setHeaders();
    isBegun = true;
    yield message;
  }
  if (!isBegun) setHeaders();
}
