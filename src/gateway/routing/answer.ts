import type {
  DescMessage,
  DescMethod,
  DescMethodServerStreaming,
  DescMethodUnary,
  DescService,
  MessageShape,
} from '@bufbuild/protobuf';
import type { Caller } from './caller.js';

/** Why a subsystem's part is missing. */
export type FailureReason =
  'connecting' | 'stale' | 'timeout' | 'unreachable' | 'oversized' | 'unimplemented' | 'failed';

export interface SubsystemFailure {
  readonly subsystemId: string;
  readonly reason: FailureReason;
}

/** What holds for the whole answer. `unstable`: pages may skip; `approximate`: percentiles or rates could not be merged. */
export type AnswerNote = 'unstable' | 'approximate';

/** An answer that names whose part is missing: never a partial one that looks whole. */
export interface Answer<T> {
  readonly value: T;
  readonly failures: readonly SubsystemFailure[];
  readonly notes: readonly AnswerNote[];
}

export function wholeAnswer<T>(value: T): Answer<T> {
  return { value, failures: [], notes: [] };
}

type Unary<M> =
  M extends DescMethodUnary<infer I extends DescMessage, infer O extends DescMessage>
    ? (caller: Caller, request: MessageShape<I>) => Promise<Answer<MessageShape<O>>>
    : never;
type Streaming<M> =
  M extends DescMethodServerStreaming<infer I extends DescMessage, infer O extends DescMessage>
    ? (caller: Caller, request: MessageShape<I>) => Feed<MessageShape<O>>
    : never;

/** A live answer. Who is missing or only polled is read when the first message is there, or has not come for a moment. */
export interface Feed<T> extends AsyncIterable<T> {
  readonly failures: readonly SubsystemFailure[];
  /** Subsystems that do not stream and are asked again and again instead. */
  readonly polled: readonly string[];
  /** Its first message comes within a moment, whatever happens, and tells who is missing better than anything before. */
  readonly beginsAtOnce?: boolean;
}

/** What answers a service: a method of the same name for each RPC. */
export type Answers<S extends DescService> = {
  [K in keyof S['method']]: S['method'][K] extends DescMethod
    ? S['method'][K]['methodKind'] extends 'server_streaming'
      ? Streaming<S['method'][K]>
      : Unary<S['method'][K]>
    : never;
};
