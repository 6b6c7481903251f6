import type { DescMethod, DescService } from '@bufbuild/protobuf';
import type { Role } from '../../auth/index.js';
import { AnalyticsService } from '../gen/flowwatch/v1/analytics_service_pb.js';
import { GatewayService } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { SearchService } from '../gen/flowwatch/v1/search_service_pb.js';
import { StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import { WorkflowService } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { Health } from '../gen/grpc/health/v1/health_pb.js';
import { ServerReflection } from '../gen/grpc/reflection/v1/reflection_pb.js';
import { ServerReflection as ServerReflectionAlpha } from '../gen/grpc/reflection/v1alpha/reflection_pb.js';

/** The least role of a caller. `public`: nobody has to say who he is. `own`: the handler sees to it itself. */
export type RpcAccess = Role | 'public' | 'own';

/** One entry for each RPC of the service, so that none can be forgotten. */
type AccessOf<S extends DescService> = { readonly [K in keyof S['method']]: RpcAccess };

function entries<S extends DescService>(service: S, access: AccessOf<S>): Array<[string, RpcAccess]> {
  const byLocalName: Readonly<Record<string, RpcAccess>> = access;
  return service.methods.flatMap((method) => {
    const each = byLocalName[method.localName];
    return each === undefined ? [] : [[nameOf(method), each] satisfies [string, RpcAccess]];
  });
}

const ACCESS: ReadonlyMap<string, RpcAccess> = new Map([
  ...entries(RunService, {
    listRuns: 'viewer',
    getRun: 'viewer',
    getRunSteps: 'viewer',
    getRunTimeline: 'viewer',
    getRunLogs: 'viewer',
    retryRun: 'operator',
    retryFromStep: 'operator',
    cancelRun: 'operator',
    pauseRun: 'operator',
    resumeRun: 'operator',
    skipStep: 'operator',
    bulkRetry: 'operator',
    bulkCancel: 'operator',
  }),
  ...entries(WorkflowService, {
    listWorkflows: 'viewer',
    getWorkflow: 'viewer',
    getGraph: 'viewer',
    getCapabilities: 'viewer',
    listSubsystems: 'viewer',
    getSubsystem: 'viewer',
    getTrace: 'viewer',
  }),
  ...entries(AnalyticsService, {
    getThroughput: 'viewer',
    getLatency: 'viewer',
    getFailureRate: 'viewer',
    getStepDuration: 'viewer',
    getStepHeatmap: 'viewer',
  }),
  ...entries(SearchService, {
    search: 'viewer',
    suggest: 'viewer',
    explain: 'viewer',
    reindex: 'operator',
    getIndexStats: 'viewer',
  }),
  ...entries(StreamService, { watchRuns: 'viewer', watchRun: 'viewer', watchStats: 'viewer' }),
  ...entries(GatewayService, { register: 'own' }),
  ...entries(Health, { check: 'public', watch: 'public' }),
  ...entries(ServerReflection, { serverReflectionInfo: 'viewer' }),
  ...entries(ServerReflectionAlpha, { serverReflectionInfo: 'viewer' }),
]);

/** `flowwatch.v1.RunService/GetRun` */
export function nameOf(method: Pick<DescMethod, 'parent' | 'name'>): string {
  return `${method.parent.typeName}/${method.name}`;
}

const accessByMethod = new WeakMap<object, RpcAccess>();

/** undefined for what is none of our RPCs. */
export function accessOf(method: Pick<DescMethod, 'parent' | 'name'>): RpcAccess | undefined {
  const known = accessByMethod.get(method);
  if (known !== undefined) return known;
  const access = ACCESS.get(nameOf(method));
  if (access !== undefined) accessByMethod.set(method, access);
  return access;
}
