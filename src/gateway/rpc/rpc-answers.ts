import type {
  UndecodedGetRunResponse,
  UndecodedListRunsResponse,
  UndecodedRunEvent,
} from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import type { AnalyticsService } from '../gen/flowwatch/v1/analytics_service_pb.js';
import type { GatewayMessage, SubsystemMessage } from '../gen/flowwatch/v1/gateway_service_pb.js';
import type { GetRunRequest, ListRunsRequest, RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import type { SearchService } from '../gen/flowwatch/v1/search_service_pb.js';
import type { StreamService, WatchRunsRequest } from '../gen/flowwatch/v1/stream_service_pb.js';
import type { WorkflowService } from '../gen/flowwatch/v1/workflow_service_pb.js';
import type { RegistrationContext } from '../registry/registration.js';
import type { RegistrationInput, RegistrationWire } from '../registry/registration-wire.js';
import type { Answer, Answers, Feed } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';

/** The same answers with their runs as the bytes that came: for clients that take binary messages. */
export interface UndecodedRunAnswers {
  listRunsUndecoded(caller: Caller, request: ListRunsRequest): Promise<Answer<UndecodedListRunsResponse>>;
  getRunUndecoded(caller: Caller, request: GetRunRequest): Promise<Answer<UndecodedGetRunResponse>>;
}

export interface UndecodedLiveAnswers {
  watchRunsUndecoded(caller: Caller, request: WatchRunsRequest): Feed<UndecodedRunEvent>;
}

export interface RegistrationAnswers {
  /** One stream, told what the client sends; its answers go to `wire`. @throws ConnectError */
  open(peerAddress: string, authorization: string | undefined, wire: RegistrationWire): RegistrationInput;
  /** The same with iterables. */
  register(messages: AsyncIterable<SubsystemMessage>, context: RegistrationContext): AsyncIterable<GatewayMessage>;
}

/** Port: what answers each service. */
export interface RpcAnswers {
  readonly runs: Answers<typeof RunService> & UndecodedRunAnswers;
  readonly workflows: Answers<typeof WorkflowService>;
  readonly analytics: Answers<typeof AnalyticsService>;
  readonly search: Answers<typeof SearchService>;
  readonly live: Answers<typeof StreamService> & Partial<UndecodedLiveAnswers>;
  readonly registration: RegistrationAnswers;
}

export const RPC_ANSWERS = Symbol('RpcAnswers');
