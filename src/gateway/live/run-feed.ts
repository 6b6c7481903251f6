import { type Timestamp, timestampFromMs, timestampMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { UndecodedRunEventSchema } from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import { RunEventType, StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { RunOwners } from '../routing/run-owners.js';
import { type LiveRun, decodeRun, hasEnded, isSameRun, readLiveRun } from './live-run.js';
import { type ChangeOrigin, type IdOwners, RunChange } from './run-change.js';
import type { RunPoll } from './run-poll.js';
import { RunStates } from './run-states.js';
import { Upstream, type UpstreamContext } from './upstream.js';

const WATCH_RUNS = { ...StreamService.method.watchRuns, output: UndecodedRunEventSchema };
/** Clocks of subsystems may be so far off ours. */
const CLOCK_SKEW_MS = 60_000;

/** Takes changes. Must neither throw nor wait. */
export type RunListener = (change: RunChange) => void;

export interface RunFeedContext extends UpstreamContext {
  readonly owners: IdOwners & { readonly runs: Pick<RunOwners, 'isAmbiguous' | 'seen'> };
  readonly pollMs: number;
}

export interface RunFeedOptions {
  readonly subsystem: Subsystem;
  /** Gateways that those who watch came through. */
  readonly gatewayPath: string | undefined;
  /** Whether it begins with what the subsystem has, for watchers that want to be told; else with changes alone. */
  readonly withSnapshot: boolean;
}

/**
 * The changes of the runs of one subsystem, unfiltered, read once for all who watch: from its stream, or where it has
 * none by looking again and again. After a gap its snapshot is compared with what is known, and what differs is told.
 */
export class RunFeed {
  /** The subsystem does not stream. */
  isPolled: boolean;
  private readonly listeners = new Set<RunListener>();
  private readonly states = new RunStates();
  private readonly upstream: Upstream;
  private readonly origin: ChangeOrigin;
  private readonly openedAt: number;
  private session = 0;
  private refusesStream = false;

  constructor(
    private readonly options: RunFeedOptions,
    private readonly poll: RunPoll,
    private readonly context: RunFeedContext,
  ) {
    const { subsystem } = options;
    this.origin = { subsystem, owners: context.owners };
    this.openedAt = context.clock.now();
    this.isPolled = subsystem.capabilities?.streaming === false;
    this.upstream = new Upstream(subsystem, context, (signal, begun) => this.run(signal, begun));
  }

  get missing(): Upstream['missing'] {
    return this.upstream.missing;
  }

  get listenerCount(): number {
    return this.listeners.size;
  }

  start(): void {
    this.upstream.start();
  }

  stop(): Promise<void> {
    return this.upstream.stop();
  }

  /** The listener gets each change from now on. */
  add(listener: RunListener): void {
    this.listeners.add(listener);
  }

  remove(listener: RunListener): void {
    this.listeners.delete(listener);
  }

  /** What is known of its runs now, at most the 10 000 that changed last. */
  snapshot(): Iterable<RunChange> {
    return createdOf(this.origin, this.states.all());
  }

  private async run(signal: AbortSignal, begun: () => void): Promise<void> {
    const { subsystem } = this.options;
    // Another instance may stream by now.
    if (subsystem.capabilities?.streaming === false) await this.pollOn(signal, begun);
    try {
      await this.stream(signal, begun);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
      this.refusesStream = true;
      await this.pollOn(signal, begun);
    }
  }

  private async stream(signal: AbortSignal, begun: () => void): Promise<void> {
    const { subsystem, gatewayPath, withSnapshot } = this.options;
    this.isPolled = this.refusesStream;
    const isGap = this.session > 0;
    const session = this.nextSession();
    const request = { includeInitialSnapshot: withSnapshot || isGap };
    try {
      for await (const event of subsystem.connection.stream(WATCH_RUNS, request, { signal, gatewayPath })) {
        begun();
        this.takeEvent(readRun(event.run), event.eventType, event.eventTime, session);
      }
    } catch (error) {
      // Nothing was watched, so there is no gap.
      if (ConnectError.from(error).code === Code.Unimplemented) this.session -= 1;
      throw error;
    }
  }

  private takeEvent(run: LiveRun, eventType: RunEventType, eventTime: Timestamp | undefined, session: number): void {
    const { subsystem, withSnapshot } = this.options;
    const known = this.states.get(run.id);
    this.states.keep(run, session);
    this.context.owners.runs.seen(subsystem, run.id);
    if (known?.session === session || session === 1) {
      this.tell(run, eventType, eventTime);
      return;
    }
    // It may be of the snapshot after a gap.
    if (known && isSameRun(known.run, run)) return;
    if (!known && !withSnapshot && this.isOld(run)) return;
    this.tell(run, known && eventType === RunEventType.CREATED ? changeOf(run) : eventType, eventTime);
  }

  private async pollOn(signal: AbortSignal, begun: () => void): Promise<void> {
    this.isPolled = true;
    for (;;) {
      const isFirst = this.session === 0;
      const session = this.nextSession();
      const runs = await this.poll.look(signal);
      begun();
      for (const run of runs) this.takeLook(run, session, isFirst);
      if (!this.refusesStream && this.options.subsystem.capabilities?.streaming) return;
      await this.context.clock.sleep(this.context.pollMs, signal);
    }
  }

  private takeLook(run: LiveRun, session: number, isFirst: boolean): void {
    const { subsystem, withSnapshot } = this.options;
    const known = this.states.get(run.id);
    this.states.keep(run, session);
    this.context.owners.runs.seen(subsystem, run.id);
    if (known && isSameRun(known.run, run)) return;
    if (isFirst) {
      if (withSnapshot) this.tell(run, RunEventType.CREATED, undefined);
      return;
    }
    const now = timestampFromMs(this.context.clock.now());
    if (!known) this.tell(run, RunEventType.CREATED, now);
    if (known || hasEnded(run)) this.tell(run, changeOf(run), now);
  }

  private tell(run: LiveRun, eventType: RunEventType, eventTime: Timestamp | undefined): void {
    const change = new RunChange(this.origin, run, eventType, eventTime);
    for (const listener of this.listeners) listener(change);
  }

  /** What ended before anybody watched is no news. What has not may have changed in the gap. */
  private isOld(run: LiveRun): boolean {
    const { finishedAt } = decodeRun(run);
    return hasEnded(run) && finishedAt !== undefined && timestampMs(finishedAt) < this.openedAt - CLOCK_SKEW_MS;
  }

  private nextSession(): number {
    this.session += 1;
    return this.session;
  }
}

function* createdOf(origin: ChangeOrigin, runs: readonly LiveRun[]): Generator<RunChange> {
  for (const run of runs) yield new RunChange(origin, run, RunEventType.CREATED, undefined);
}

function changeOf(run: LiveRun): RunEventType {
  return hasEnded(run) ? RunEventType.COMPLETED : RunEventType.UPDATED;
}

/** @throws ConnectError that ends the session: what cannot be read cannot be left out either */
function readRun(bytes: Uint8Array): LiveRun {
  try {
    return readLiveRun(bytes);
  } catch (error) {
    const message = 'the subsystem tells of a run that cannot be read';
    throw new ConnectError(message, Code.Internal, undefined, undefined, error);
  }
}
