import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import type { ConnectRouter } from '@connectrpc/connect';
import { type AnalyticsFilter, AnalyticsService } from '../../src/gateway/gen/flowwatch/v1/analytics_service_pb.js';
import { SearchResultType, SearchService } from '../../src/gateway/gen/flowwatch/v1/search_service_pb.js';
import { type Run, RunStatus } from '../../src/gateway/gen/flowwatch/v1/types_pb.js';
import { STEP_NAMES, type SubsystemData } from './flowwatch-subsystem-data.js';
import { isWithin, pageOf } from './flowwatch-subsystem-query.js';

const BUCKET_MS: Readonly<Record<string, number>> = {
  minute: 60_000,
  '1m': 60_000,
  '5m': 300_000,
  hour: 3_600_000,
  '1h': 3_600_000,
  day: 86_400_000,
  '1d': 86_400_000,
};

/** Analytics and search of a test's subsystem. */
export function addFigures(router: ConnectRouter, data: SubsystemData): void {
  addAnalytics(router, data);
  addSearch(router, data);
}

function addAnalytics(router: ConnectRouter, data: SubsystemData): void {
  router.service(AnalyticsService, {
    getThroughput: ({ filter }) => ({
      buckets: bucketsOf(data, filter).map(([at, runs]) => ({
        timestamp: timestampFromMs(at),
        succeeded: having(runs, RunStatus.SUCCEEDED),
        failed: having(runs, RunStatus.FAILED),
        running: having(runs, RunStatus.RUNNING),
        canceled: having(runs, RunStatus.CANCELED),
        total: runs.length,
      })),
    }),
    getLatency: ({ filter }) => ({
      buckets: bucketsOf(data, filter).map(([at, runs]) => ({ timestamp: timestampFromMs(at), ...percentiles(runs) })),
    }),
    getFailureRate: ({ filter }) => ({
      buckets: bucketsOf(data, filter).map(([at, runs]) => ({
        timestamp: timestampFromMs(at),
        rate: having(runs, RunStatus.FAILED) / runs.length,
        totalRuns: runs.length,
        failedRuns: having(runs, RunStatus.FAILED),
      })),
    }),
    getStepDuration: ({ workflowId, timeRange }) => {
      const runs = data.runs.filter(
        (run) => (workflowId === '' || run.workflowId === workflowId) && isWithin(run.startedAt, timeRange),
      );
      return {
        steps: STEP_NAMES.map((stepName, index) => ({
          stepName,
          isBottleneck: index === 1,
          total: percentiles(runs),
          sampleCount: BigInt(runs.length),
        })),
        bottleneckThreshold: { seconds: 1n },
      };
    },
    getStepHeatmap: ({ filter }) => {
      const buckets = bucketsOf(data, filter);
      return {
        stepNames: [...STEP_NAMES],
        bucketTimestamps: buckets.map(([at]) => timestampFromMs(at)),
        cells: buckets.flatMap(([at, runs]) =>
          STEP_NAMES.map((stepName, index) => {
            const failed = index === 2 ? having(runs, RunStatus.FAILED) : 0;
            return {
              stepName,
              bucketStart: timestampFromMs(at),
              failureRate: failed / runs.length,
              totalExecutions: runs.length,
              failedExecutions: failed,
              avgDuration: { seconds: 0n, nanos: 8_000_000 },
            };
          }),
        ),
      };
    },
  });
}

function addSearch(router: ConnectRouter, data: SubsystemData): void {
  router.service(SearchService, {
    search: ({ query, pagination }) => {
      const found = data.runs.filter((run) => run.id.includes(query) || run.foreignId.includes(query));
      const [runs, page] = pageOf(found, pagination);
      return {
        results: runs.map((run, index) => ({
          id: `${run.id}#run`,
          type: SearchResultType.RUN,
          runId: run.id,
          workflowId: run.workflowId,
          score: 1 / (index + 1),
          context: { runStatus: run.status, foreignId: run.foreignId },
        })),
        facets: { status: { failed: having(found, RunStatus.FAILED) } },
        pagination: page,
        queryMs: 3,
      };
    },
    suggest: ({ prefix, limit }) => ({
      suggestions: data.workflows
        .filter(({ id }) => id.startsWith(prefix))
        .slice(0, limit || 10)
        .map(({ id }) => ({ value: id, count: data.runs.filter((run) => run.workflowId === id).length })),
    }),
    explain: ({ rawQuery }) => ({ valid: true, parsed: { freeText: rawQuery }, normalizedQuery: rawQuery.trim() }),
    reindex: ({ workflowId }) => ({
      runsQueued: data.runs.filter((run) => workflowId === '' || run.workflowId === workflowId).length,
    }),
    getIndexStats: () => ({
      indexedRuns: BigInt(data.runs.length),
      indexedSteps: BigInt(data.runs.length * STEP_NAMES.length),
      indexSizeBytes: 1_024n,
      ingestionLagSeconds: 1,
    }),
  });
}

function bucketsOf(data: SubsystemData, filter: AnalyticsFilter | undefined): [number, Run[]][] {
  const widthMs = BUCKET_MS[filter?.granularity ?? ''] ?? 3_600_000;
  const wanted = data.runs.filter(
    (run) =>
      (!filter?.workflowId || run.workflowId === filter.workflowId) &&
      (!filter?.subsystemId || run.subsystemId === filter.subsystemId) &&
      isWithin(run.startedAt, filter?.timeRange),
  );
  const byStart = Map.groupBy(wanted, (run) => Math.floor(data.startOf(run) / widthMs) * widthMs);
  return [...byStart].toSorted(([a], [b]) => a - b);
}

function having(runs: readonly Run[], status: RunStatus): number {
  return runs.filter((run) => run.status === status).length;
}

function percentiles(runs: readonly Run[]): Record<'p50' | 'p95' | 'p99', { seconds: bigint; nanos: number }> {
  const sorted = runs.flatMap(({ duration }) => (duration ? [duration.nanos] : [])).toSorted((a, b) => a - b);
  const at = (share: number): { seconds: bigint; nanos: number } => ({
    seconds: 0n,
    nanos: sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0,
  });
  return { p50: at(0.5), p95: at(0.95), p99: at(0.99) };
}
