import { Inject, Injectable } from '@nestjs/common';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { type Clock, CLOCK } from '../../runtime/clock.js';
import { type Random, RANDOM } from '../../runtime/random.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import { isCircleRefusal } from '../connections/gateway-circle.js';
import type { UndecodedRunEvent } from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import {
  type RunDetailEvent,
  RunDetailEventSchema,
  type RunEvent,
  type StatsSnapshot,
  type StreamService,
  type WatchRunRequest,
  type WatchRunsRequest,
  type WatchStatsRequest,
} from '../gen/flowwatch/v1/stream_service_pb.js';
import { SUBSYSTEM_DIRECTORY, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { Answers, Feed } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';
import { invalidArgument } from '../input/invalid-argument.js';
import { requireId } from '../routing/limits.js';
import { type OwnedRun, type RunOwners, RUN_OWNERS } from '../routing/run-owners.js';
import { shownId } from '../routing/shown-id.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { mapFeed } from './map-feed.js';
import { RunDetailFeed } from './run-detail-feed.js';
import { RunFanIn } from './run-fan-in.js';
import { SharedRunFeeds } from './shared-run-feeds.js';
import { RunWatchFilter, requireRunWatch } from './run-watch-filter.js';
import { StatsFanIn } from './stats-fan-in.js';
import { SharedStatsFeeds } from './shared-stats-feeds.js';

const DEFAULT_INTERVAL_S = 5;
const MAX_INTERVAL_S = 3_600;

/** StreamService over all subsystems, those too that register later, through their reconnects. */
@Injectable()
export class LiveAnswers implements Answers<typeof StreamService> {
  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) private readonly directory: SubsystemDirectory,
    @Inject(RUN_OWNERS) private readonly owners: RunOwners,
    private readonly workflowOwners: WorkflowOwners,
    private readonly runFeeds: SharedRunFeeds,
    private readonly statsFeeds: SharedStatsFeeds,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
    @Inject(gatewayConfig.token) private readonly config: Pick<GatewayConfig, 'pollMs'>,
  ) {}

  /** @throws ConnectError `invalid_argument`; what waits for a slow reader is bounded: `resource_exhausted` */
  watchRuns(caller: Caller, request: WatchRunsRequest): Feed<RunEvent> {
    return mapFeed(this.changes(caller, request), (change) => change.decoded(caller.principal));
  }

  /** For clients that take the wire form as it is. */
  watchRunsUndecoded(caller: Caller, request: WatchRunsRequest): Feed<UndecodedRunEvent> {
    return mapFeed(this.changes(caller, request), (change) => change.undecoded(caller.principal));
  }

  /** The same before it is made into messages. */
  changes(caller: Caller, request: WatchRunsRequest): RunFanIn {
    requireRunWatch(request);
    const filter = new RunWatchFilter(caller.principal, request, this.workflowOwners);
    const options = { caller, watch: request, withSnapshot: request.includeInitialSnapshot, filter };
    return new RunFanIn(options, this.directory, this.runFeeds);
  }

  /** Errors as of `RunOwners.find`, then those of the owner. */
  watchRun(caller: Caller, { runId }: WatchRunRequest): Feed<RunDetailEvent> {
    requireId(runId, 'run_id');
    const polled: string[] = [];
    const events = this.watchDetail(caller, runId, polled);
    return { failures: [], polled, [Symbol.asyncIterator]: () => events };
  }

  watchStats(caller: Caller, { intervalSeconds }: WatchStatsRequest): Feed<StatsSnapshot> {
    if (intervalSeconds < 0 || intervalSeconds > MAX_INTERVAL_S) {
      const description = `must be 1 to ${MAX_INTERVAL_S}, or 0 for ${DEFAULT_INTERVAL_S}; it is ${intervalSeconds}`;
      throw invalidArgument({ field: 'interval_seconds', description });
    }
    const options = { caller, intervalSeconds: intervalSeconds || DEFAULT_INTERVAL_S };
    return new StatsFanIn(options, this.directory, this.statsFeeds, this.clock);
  }

  private async *watchDetail(caller: Caller, runId: string, polled: string[]): AsyncGenerator<RunDetailEvent> {
    const { signal, gatewayPath } = caller;
    const { directory, clock, random } = this;
    for (let isAgain = false; ; isAgain = true) {
      const owned = await this.owners.find(caller, runId);
      const { pollMs } = this.config;
      const feed = new RunDetailFeed({ owned, gatewayPath, directory, clock, random, pollMs });
      const stop = (): void => feed.stop();
      signal.addEventListener('abort', stop, { once: true });
      let hasBegun = false;
      try {
        for await (const event of feed) {
          if (!hasBegun && feed.isPolled) polled.push(owned.subsystem.id);
          hasBegun = true;
          yield this.shown(caller, owned, event);
        }
        return;
      } catch (error) {
        if (ConnectError.from(error).code !== Code.NotFound && !isCircleRefusal(error)) throw error;
        // It was only remembered as the owner.
        this.owners.forget(owned.subsystem, owned.runId);
        if (isAgain || hasBegun || owned.qualified) throw error;
      } finally {
        signal.removeEventListener('abort', stop);
        feed.stop();
      }
    }
  }

  /** The same under the ids of the request. The event is not ours to change. */
  private shown({ principal }: Caller, owned: OwnedRun, event: RunDetailEvent): RunDetailEvent {
    const runId = shownId(owned, owned.runId, this.owners.isAmbiguous(owned.runId, principal));
    const { eventType, eventTime, run, step, logEntry } = event;
    const workflowId = (bare: string): string =>
      this.workflowOwners.isAmbiguous(bare, principal)
        ? shownId({ subsystem: owned.subsystem, qualified: true }, bare, true)
        : bare;
    return create(RunDetailEventSchema, {
      eventType,
      ...(eventTime ? { eventTime } : {}),
      ...(run ? { run: { ...run, id: runId, workflowId: workflowId(run.workflowId) } } : {}),
      ...(step ? { step: { ...step, runId } } : {}),
      ...(logEntry ? { logEntry: { ...logEntry, runId } } : {}),
    });
  }
}
