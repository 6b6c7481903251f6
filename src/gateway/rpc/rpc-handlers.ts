import { createConnectRouter } from '@connectrpc/connect';
import type { UniversalHandler, UniversalHandlerOptions } from '@connectrpc/connect/protocol';
import type { Readiness } from '../../lifecycle/index.js';
import { AnalyticsService } from '../gen/flowwatch/v1/analytics_service_pb.js';
import { GatewayService } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { SearchService } from '../gen/flowwatch/v1/search_service_pb.js';
import { StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import { WorkflowService } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { Health } from '../gen/grpc/health/v1/health_pb.js';
import { ServerReflection } from '../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ServerReflectionAlpha } from '../gen/grpc/reflection/v1alpha/reflection_pb.js';
import { AnswerBinder } from './answer-binder.js';
import { isJsonType } from './checked-body.js';
import { DescriptorIndex } from './descriptor-index.js';
import { bindHealth } from './health-answers.js';
import { bindReflection } from './reflection-answers.js';
import type { RpcAnswers } from './rpc-answers.js';
import { callOf } from './rpc-call.js';
import type { RpcCalls } from './rpc-calls.js';
import { bindUndecoded } from './undecoded-methods.js';

/** What the gateway offers; each answers calls of all three protocols. */
export const FLOWWATCH_SERVICES = [
  RunService,
  WorkflowService,
  AnalyticsService,
  SearchService,
  StreamService,
  GatewayService,
] as const;
export const ALL_SERVICES = [...FLOWWATCH_SERVICES, Health, ServerReflection, ServerReflectionAlpha] as const;

/** Handlers by path. */
export class RpcHandlers {
  private readonly decoded: ReadonlyMap<string, UniversalHandler>;
  private readonly undecoded: ReadonlyMap<string, UniversalHandler>;

  constructor(answers: RpcAnswers, calls: RpcCalls, readiness: Readiness, options: Partial<UniversalHandlerOptions>) {
    const binder = new AnswerBinder(calls);
    const decoded = createConnectRouter(options);
    binder.bind(decoded, RunService, answers.runs);
    binder.bind(decoded, WorkflowService, answers.workflows);
    binder.bind(decoded, AnalyticsService, answers.analytics);
    binder.bind(decoded, SearchService, answers.search);
    binder.bind(decoded, StreamService, answers.live);
    decoded.service(GatewayService, {
      register: (messages, context) => {
        const { address: peerAddress, authorization, gatewayPath } = callOf(context);
        const headers = new Headers(context.requestHeader);
        if (authorization !== undefined) headers.set('authorization', authorization);
        if (gatewayPath !== undefined) headers.set('crowsnest-gateway-path', gatewayPath);
        return calls.stream(context, (signal) =>
          answers.registration.register(messages, { signal, peerAddress, headers }),
        );
      },
    });
    const names = FLOWWATCH_SERVICES.map(({ typeName }) => typeName);
    bindHealth(decoded, calls, readiness, names);
    bindReflection(decoded, calls, new DescriptorIndex(ALL_SERVICES));
    const undecoded = createConnectRouter(options);
    bindUndecoded(binder, undecoded, answers);
    this.decoded = byPath(decoded.handlers);
    this.undecoded = byPath(undecoded.handlers);
  }

  find(path: string, contentType: string | undefined): UniversalHandler | undefined {
    const undecoded = this.undecoded.get(path);
    return undecoded && !isJsonType(contentType) ? undecoded : this.decoded.get(path);
  }
}

function byPath(handlers: readonly UniversalHandler[]): Map<string, UniversalHandler> {
  return new Map(handlers.map((handler) => [handler.requestPath, handler]));
}
