import { Inject, Injectable, Logger } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { Backoff } from '../../runtime/backoff.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import { StopReason } from '../../runtime/stop-reason.js';
import { WatchedClusters } from '../watched-clusters.js';
import { ResourceChanges } from './resource-changes.js';
import { ResourcesRepository } from './resources.repository.js';
import { StatusWriter } from './status-writer.js';
import { TrackedResources, type WatchedSet } from './tracked-resources.js';

/**
 * Brings the freshness of watches to all resources that live from them: one update for each kind and namespace. Works on
 * what is true when it writes, not on what was when it was asked; a set that could not be written is tried again.
 */
@Injectable()
export class FreshnessWriter {
  private readonly log = new Logger(FreshnessWriter.name);
  private readonly marked = new Map<string, WatchedSet>();
  private readonly backoff: Backoff;
  private readonly abort = new AbortController();
  private running = false;
  private loop: Promise<void> | undefined;

  constructor(
    private readonly resources: ResourcesRepository,
    private readonly tracked: TrackedResources,
    private readonly changes: ResourceChanges,
    private readonly clusters: WatchedClusters,
    private readonly statuses: StatusWriter,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) random: Random,
  ) {
    this.backoff = new Backoff({ baseMs: 500, maxMs: 30_000 }, random);
  }

  /** Has the set's freshness stored, soon and after what was submitted before. */
  mark(set: WatchedSet): void {
    if (this.abort.signal.aborted) return;
    this.marked.set(`${set.clusterId}/${set.kind}/${set.namespace}`, set);
    if (this.running) return;
    this.running = true;
    this.loop = this.run();
  }

  /** Resolves when nothing is written any more; what remains is derived again at the next start. */
  async stop(): Promise<void> {
    this.abort.abort(new StopReason('freshness writer'));
    await this.loop;
  }

  private async run(): Promise<void> {
    const { signal } = this.abort;
    // Statuses found in the same turn go first: a set becomes live with them, not before.
    await Promise.resolve();
    for (let next = this.first(); next && !signal.aborted; next = this.first()) {
      const [key, set] = next;
      this.marked.delete(key);
      try {
        await this.write(set);
        this.backoff.reset();
      } catch (error) {
        if (!this.marked.has(key)) this.marked.set(key, set);
        const delayMs = this.backoff.next();
        this.log.warn({
          message: 'a freshness could not be stored; trying again',
          ...set,
          delayMs,
          error: String(error),
        });
        await this.clock.sleep(delayMs, signal).catch(() => undefined);
      }
    }
    this.running = false;
  }

  private first(): [string, WatchedSet] | undefined {
    return this.marked.entries().next().value;
  }

  private async write(set: WatchedSet): Promise<void> {
    const freshness = this.clusters.freshnessOf(set.clusterId, set.kind, set.namespace);
    const members = [...this.tracked.inSet(set.clusterId, set.kind, set.namespace)];
    if (members.every(({ document }) => document.freshness === freshness)) return;
    // What waits to be written brings the freshness itself: before that, its old status must not look live.
    const ids = new Set(members.map(({ id }) => id));
    const waiting = this.statuses.pendingIds().filter((id) => ids.has(id));
    const now = new Date(this.clock.now());
    await this.resources.setFreshness(SYSTEM_SCOPE, set, freshness, now, waiting);
    for (const document of await this.resources.findSet(SYSTEM_SCOPE, set, freshness)) this.changes.publish(document);
    if (this.clusters.freshnessOf(set.clusterId, set.kind, set.namespace) !== freshness) this.mark(set);
  }
}
