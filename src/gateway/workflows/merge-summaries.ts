import type { SubsystemSummary } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { sumInt32 } from '../routing/wire-sum.js';

export interface SummedCounts {
  readonly workflowCount: number;
  readonly activeRuns: number;
  readonly failedLastHour: number;
  /** Fraction of the runs that finished. */
  readonly errorRateLastHour: number;
}

export interface SummedSummaries {
  readonly counts: SummedCounts;
  /** The rate is an upper bound: of those without a failure the wire does not tell how many runs finished. */
  readonly isApproximate: boolean;
}

/** One summary of several: counts are added, the rate is that of all runs that finished, `failures / rate` of each. */
export function sumSummaries(summaries: readonly SubsystemSummary[]): SummedSummaries {
  const failing = summaries.filter((each) => each.failedLastHour > 0 && each.errorRateLastHour > 0);
  return {
    counts: {
      workflowCount: sumInt32(summaries.map(({ workflowCount }) => workflowCount)),
      activeRuns: sumInt32(summaries.map(({ activeRuns }) => activeRuns)),
      failedLastHour: sumInt32(summaries.map(({ failedLastHour }) => failedLastHour)),
      errorRateLastHour: errorRate(summaries, failing),
    },
    isApproximate: failing.length > 0 && failing.length < summaries.length,
  };
}

function errorRate(summaries: readonly SubsystemSummary[], failing: readonly SubsystemSummary[]): number {
  const [first] = summaries;
  if (first && summaries.length === 1) return first.errorRateLastHour;
  const failed = failing.reduce((sum, each) => sum + each.failedLastHour, 0);
  const finished = failing.reduce((sum, each) => sum + each.failedLastHour / each.errorRateLastHour, 0);
  return failing.length > 0 ? failed / finished : 0;
}
