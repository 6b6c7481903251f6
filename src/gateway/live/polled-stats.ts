import { create } from '@bufbuild/protobuf';
import { timestampMs } from '@bufbuild/protobuf/wkt';
import type { CallOptions } from '../connections/subsystem-connection.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { type StatsSnapshot, StatsSnapshotSchema } from '../gen/flowwatch/v1/stream_service_pb.js';
import { type Run, RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';

const MOST_RUNS = 500;
const MINUTE_MS = 60_000;

/** The figures of a subsystem that does not stream them, counted from its runs: of each status at most 500 are looked at. */
export async function pollStats(subsystem: Subsystem, nowMs: number, options: CallOptions): Promise<StatsSnapshot> {
  const list = (status: RunStatus, orderBy: string): Promise<ListedRuns> =>
    listRuns(subsystem, status, orderBy, options);
  const [running, paused, succeeded, failed] = await Promise.all([
    list(RunStatus.RUNNING, 'started_at'),
    list(RunStatus.PAUSED, 'started_at'),
    list(RunStatus.SUCCEEDED, 'finished_at'),
    list(RunStatus.FAILED, 'finished_at'),
  ]);
  const inLastMinute = ({ runs }: ListedRuns): number =>
    runs.filter(({ finishedAt }) => finishedAt && timestampMs(finishedAt) > nowMs - MINUTE_MS).length;
  const [succeededLastMinute, failedLastMinute] = [inLastMinute(succeeded), inLastMinute(failed)];
  const finished = succeededLastMinute + failedLastMinute;
  return create(StatsSnapshotSchema, {
    running: running.total,
    paused: paused.total,
    succeededLastMinute,
    failedLastMinute,
    ratePerMinute: finished,
    errorRate: finished === 0 ? 0 : failedLastMinute / finished,
  });
}

interface ListedRuns {
  readonly runs: readonly Run[];
  readonly total: number;
}

async function listRuns(
  { connection }: Subsystem,
  status: RunStatus,
  orderBy: string,
  options: CallOptions,
): Promise<ListedRuns> {
  const request = {
    filter: { statuses: [status] },
    pagination: { limit: MOST_RUNS },
    orderBy,
    descending: true,
  };
  const answer = await connection.read(RunService.method.listRuns, request, options);
  // An engine may ignore the filter; then its total counts others too.
  const runs = answer.runs.filter((run) => run.status === status);
  const isFiltered = runs.length === answer.runs.length;
  return { runs, total: Math.max(runs.length, isFiltered ? (answer.pagination?.totalCount ?? 0) : 0) };
}
