import type { Clock } from '../../runtime/clock.js';
import type { StatsSnapshot } from '../gen/flowwatch/v1/stream_service_pb.js';
import type { Subsystem, SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { Feed, SubsystemFailure } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';
import { mergeStats } from './merge-stats.js';
import type { SharedStatsFeeds, StatsSubscription } from './shared-stats-feeds.js';

/** The first snapshot waits so long for subsystems that have said nothing yet. */
const PATIENCE_MS = 1_000;
const LOOK_MS = 50;

export interface StatsFanInOptions {
  readonly caller: Pick<Caller, 'principal' | 'signal' | 'gatewayPath'>;
  readonly intervalSeconds: number;
}

/** The figures of all subsystems in scope as one, every interval. */
export class StatsFanIn implements Feed<StatsSnapshot> {
  readonly beginsAtOnce = true;
  private parts = new Map<Subsystem, StatsSubscription>();

  constructor(
    private readonly options: StatsFanInOptions,
    private readonly directory: SubsystemDirectory,
    private readonly feeds: SharedStatsFeeds,
    private readonly clock: Clock,
  ) {}

  get failures(): readonly SubsystemFailure[] {
    return [...this.parts].flatMap(([{ id: subsystemId }, { feed }]) => {
      const reason = feed.current || feed.isCircle ? undefined : (feed.missing ?? 'timeout');
      return reason === undefined ? [] : [{ subsystemId, reason }];
    });
  }

  get polled(): readonly string[] {
    return [...this.parts].filter(([, { feed }]) => feed.isPolled).map(([{ id }]) => id);
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<StatsSnapshot, undefined> {
    const { caller, intervalSeconds } = this.options;
    const { signal } = caller;
    const stopListening = this.directory.onChange(() => this.select());
    try {
      this.select();
      await this.firstWords(signal);
      for (;;) {
        const parts = [...this.parts.values()].flatMap(({ feed }) => feed.current ?? []);
        yield mergeStats(parts, this.clock.now());
        await this.clock.sleep(intervalSeconds * 1_000, signal);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
      return undefined;
    } finally {
      stopListening();
      for (const { leave } of this.parts.values()) leave();
      this.parts.clear();
    }
  }

  private select(): void {
    const { caller, intervalSeconds } = this.options;
    const present = new Set(this.directory.list(caller.principal));
    for (const subsystem of present) {
      if (this.parts.has(subsystem)) continue;
      this.parts.set(subsystem, this.feeds.join(subsystem, intervalSeconds, caller.gatewayPath));
    }
    for (const [subsystem, { leave }] of this.parts) {
      if (present.has(subsystem)) continue;
      leave();
      this.parts.delete(subsystem);
    }
  }

  private async firstWords(signal: AbortSignal): Promise<void> {
    const isWaitedFor = ({ feed }: StatsSubscription): boolean =>
      !feed.current && !feed.isCircle && feed.missing === undefined;
    for (let waitedMs = 0; waitedMs < PATIENCE_MS; waitedMs += LOOK_MS) {
      if (![...this.parts.values()].some(isWaitedFor)) return;
      await this.clock.sleep(LOOK_MS, signal);
    }
  }
}
