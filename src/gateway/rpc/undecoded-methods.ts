import type { DescMessage } from '@bufbuild/protobuf';
import type { ConnectRouter } from '@connectrpc/connect';
import {
  UndecodedGetRunResponseSchema,
  UndecodedListRunsResponseSchema,
  UndecodedRunEventSchema,
} from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import type { AnswerBinder, AnswerOnce, UnaryMethod } from './answer-binder.js';
import type { LeanMethod } from './lean-unary-handler.js';
import type { RpcAnswers } from './rpc-answers.js';

/** The same on the wire, runs left as bytes: what only passes through is not decoded and encoded again. */
const LIST_RUNS = { ...RunService.method.listRuns, output: UndecodedListRunsResponseSchema };
const GET_RUN = { ...RunService.method.getRun, output: UndecodedGetRunResponseSchema };
const WATCH_RUNS = { ...StreamService.method.watchRuns, output: UndecodedRunEventSchema };

/** For clients that take binary messages. In JSON bytes would be another thing. */
export function bindUndecoded(binder: AnswerBinder, router: ConnectRouter, { runs, live }: RpcAnswers): void {
  binder.bindUnary(router, LIST_RUNS, (caller, request) => runs.listRunsUndecoded(caller, request));
  binder.bindUnary(router, GET_RUN, (caller, request) => runs.getRunUndecoded(caller, request));
  const watchRuns = live.watchRunsUndecoded?.bind(live);
  if (watchRuns) binder.bindStream(router, WATCH_RUNS, watchRuns);
}

/** Those that give one answer, for binary messages over Connect. */
export function undecodedReads({ runs }: RpcAnswers): readonly LeanMethod[] {
  return [
    leanMethod(LIST_RUNS, (caller, request) => runs.listRunsUndecoded(caller, request)),
    leanMethod(GET_RUN, (caller, request) => runs.getRunUndecoded(caller, request)),
  ];
}

/** Its message is parsed by its own schema, so the answer gets what it takes. */
function leanMethod<I extends DescMessage, O extends DescMessage>(
  method: UnaryMethod<I, O>,
  answer: AnswerOnce<I, O>,
): LeanMethod {
  return { method, answer: answer as AnswerOnce<DescMessage, DescMessage> };
}
