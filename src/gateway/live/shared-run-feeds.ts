import { Inject, Injectable } from '@nestjs/common';
import { type Clock, CLOCK } from '../../runtime/clock.js';
import { type Random, RANDOM } from '../../runtime/random.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import { type RunOwners, RUN_OWNERS } from '../routing/run-owners.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { RunFeed, type RunFeedContext, type RunListener } from './run-feed.js';
import { RunPoll } from './run-poll.js';

/** A part in what one subsystem tells. */
export interface RunSubscription {
  readonly feed: RunFeed;
  /** The last one that leaves closes the stream of the subsystem. */
  readonly leave: () => void;
}

/** The feeds that somebody watches: however many do, at most two of each subsystem, with and without a snapshot. */
@Injectable()
export class SharedRunFeeds {
  private readonly context: RunFeedContext;
  private readonly feeds = new Map<Subsystem, Map<string, RunFeed>>();
  private readonly polls = new WeakMap<Subsystem, Map<string, RunPoll>>();

  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) directory: SubsystemDirectory,
    @Inject(RUN_OWNERS) runs: RunOwners,
    workflows: WorkflowOwners,
    @Inject(CLOCK) clock: Clock,
    @Inject(RANDOM) random: Random,
    @Inject(gatewayConfig.token) { pollMs }: Pick<GatewayConfig, 'pollMs'>,
  ) {
    this.context = { directory, clock, random, pollMs, owners: { runs, workflows } };
  }

  /** Feeds that are open, for metrics. */
  get size(): number {
    return [...this.feeds.values()].reduce((sum, { size }) => sum + size, 0);
  }

  /**
   * The listener is told each change from now on, after it was given the snapshot that is there if it wants one; the rest
   * of that comes as changes.
   */
  join(
    subsystem: Subsystem,
    listener: RunListener,
    { withSnapshot, gatewayPath }: { readonly withSnapshot: boolean; readonly gatewayPath?: string | undefined },
  ): RunSubscription {
    const feeds = this.feeds.get(subsystem) ?? new Map<string, RunFeed>();
    this.feeds.set(subsystem, feeds);
    const key = JSON.stringify([withSnapshot, gatewayPath]);
    const known = feeds.get(key);
    const poll = this.pollOf(subsystem, gatewayPath);
    const feed = known ?? new RunFeed({ subsystem, gatewayPath, withSnapshot }, poll, this.context);
    feeds.set(key, feed);
    feed.add(listener);
    feed.start();
    const leave = (): void => {
      feed.remove(listener);
      if (feed.listenerCount > 0 || feeds.get(key) !== feed) return;
      feeds.delete(key);
      if (feeds.size === 0) this.feeds.delete(subsystem);
      void feed.stop();
    };
    return { feed, leave };
  }

  private pollOf(subsystem: Subsystem, gatewayPath = ''): RunPoll {
    const polls = this.polls.get(subsystem) ?? new Map<string, RunPoll>();
    this.polls.set(subsystem, polls);
    const { clock, pollMs } = this.context;
    const poll = polls.get(gatewayPath) ?? new RunPoll(subsystem, gatewayPath || undefined, clock, pollMs);
    polls.set(gatewayPath, poll);
    return poll;
  }
}
