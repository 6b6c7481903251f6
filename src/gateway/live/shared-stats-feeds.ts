import { Inject, Injectable } from '@nestjs/common';
import { type Clock, CLOCK } from '../../runtime/clock.js';
import { type Random, RANDOM } from '../../runtime/random.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import { StatsFeed } from './stats-feed.js';
import type { UpstreamContext } from './upstream.js';

export interface StatsSubscription {
  readonly feed: StatsFeed;
  readonly leave: () => void;
}

/** The figures that somebody watches: one stream of a subsystem for all who do at the same interval. */
@Injectable()
export class SharedStatsFeeds {
  private readonly context: UpstreamContext;
  private readonly shared = new Map<Subsystem, Map<string, { readonly feed: StatsFeed; watchers: number }>>();

  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) directory: SubsystemDirectory,
    @Inject(CLOCK) clock: Clock,
    @Inject(RANDOM) random: Random,
  ) {
    this.context = { directory, clock, random };
  }

  join(subsystem: Subsystem, intervalSeconds: number, gatewayPath: string | undefined): StatsSubscription {
    const feeds = this.shared.get(subsystem) ?? new Map<string, { readonly feed: StatsFeed; watchers: number }>();
    this.shared.set(subsystem, feeds);
    const key = JSON.stringify([intervalSeconds, gatewayPath]);
    const shared = feeds.get(key) ?? {
      feed: new StatsFeed(subsystem, intervalSeconds, gatewayPath, this.context),
      watchers: 0,
    };
    feeds.set(key, shared);
    shared.watchers += 1;
    const leave = (): void => {
      shared.watchers -= 1;
      if (shared.watchers > 0) return;
      feeds.delete(key);
      if (feeds.size === 0) this.shared.delete(subsystem);
      void shared.feed.stop();
    };
    return { feed: shared.feed, leave };
  }
}
