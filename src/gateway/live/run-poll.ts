import { Code, ConnectError } from '@connectrpc/connect';
import { abortable } from '../../runtime/abortable.js';
import type { Clock } from '../../runtime/clock.js';
import { UndecodedListRunsResponseSchema } from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import { GET_RUN_UNDECODED } from '../routing/run-lookup.js';
import { type LiveRun, hasEnded, readLiveRun } from './live-run.js';
import { pollInTurn } from './poll-in-turn.js';

const LIST_RUNS = { ...RunService.method.listRuns, output: UndecodedListRunsResponseSchema };
export const ACTIVE_STATUSES = [RunStatus.PENDING, RunStatus.RUNNING, RunStatus.PAUSED];
/** Of the newest and of the active runs, so many are looked at in a round. */
const MOST_RUNS = 500;
const MOST_CALLS = 10;
/** Runs that have left both lists, asked for at once. */
const PARALLEL = 8;

/** Asks a subsystem that does not stream for its runs, once for all who watch. */
export class RunPoll {
  private running: Promise<readonly LiveRun[]> | undefined;
  private startedAt = -Infinity;
  private active = new Set<string>();

  constructor(
    private readonly subsystem: Subsystem,
    private readonly gatewayPath: string | undefined,
    private readonly clock: Clock,
    private readonly pollMs: number,
  ) {}

  /**
   * The newest 500 runs, up to 500 that are active, and those that were at the last look; oldest first. One look serves
   * all who ask for one within half of the time between two.
   */
  async look(signal: AbortSignal): Promise<readonly LiveRun[]> {
    if (!this.running || this.clock.monotonic() - this.startedAt >= this.pollMs / 2) {
      this.startedAt = this.clock.monotonic();
      this.running = pollInTurn(this.subsystem, undefined, () => this.read());
      // Also when all who wait have gone.
      this.running.catch(() => (this.running = undefined));
    }
    return await abortable(this.running, signal);
  }

  private async read(): Promise<readonly LiveRun[]> {
    const [newest, active] = await Promise.all([this.list([]), this.list(ACTIVE_STATUSES)]);
    const runs = new Map<string, LiveRun>();
    // What ended between the two calls is in the one of them as it was: the ended state counts.
    for (const run of [...active, ...newest]) {
      const known = runs.get(run.id);
      if (!known || !hasEnded(known)) runs.set(run.id, run);
    }
    const left = [...this.active].filter((id) => !runs.has(id));
    for (let start = 0; start < left.length; start += PARALLEL) {
      const batch = await Promise.all(left.slice(start, start + PARALLEL).map((id) => this.get(id)));
      for (const run of batch) if (run) runs.set(run.id, run);
    }
    this.active = new Set([...runs.values()].filter((run) => !hasEnded(run)).map(({ id }) => id));
    return [...runs.values()].toReversed();
  }

  private async list(statuses: readonly RunStatus[]): Promise<readonly LiveRun[]> {
    const runs: LiveRun[] = [];
    let cursor = '';
    for (let calls = 0; calls < MOST_CALLS && runs.length < MOST_RUNS; calls += 1) {
      const request = {
        filter: { statuses: [...statuses] },
        pagination: { cursor, limit: MOST_RUNS - runs.length },
        orderBy: 'started_at',
        descending: true,
      };
      const { connection } = this.subsystem;
      const page = await connection.read(LIST_RUNS, request, { gatewayPath: this.gatewayPath });
      runs.push(...page.runs.map(readLiveRun).filter(({ status }) => fits(statuses, status)));
      const next = page.pagination?.nextCursor ?? '';
      if (next === '' || next === cursor) break;
      cursor = next;
    }
    return runs;
  }

  /** undefined if it is gone. */
  private async get(runId: string): Promise<LiveRun | undefined> {
    try {
      const { run } = await this.subsystem.connection.read(
        GET_RUN_UNDECODED,
        { runId },
        { gatewayPath: this.gatewayPath },
      );
      return run.length > 0 ? readLiveRun(run) : undefined;
    } catch (error) {
      if (ConnectError.from(error).code === Code.NotFound) return undefined;
      throw error;
    }
  }
}

/** An engine may ignore the filter. */
function fits(statuses: readonly RunStatus[], status: RunStatus): boolean {
  return statuses.length === 0 || statuses.includes(status);
}
