import { Inject, Injectable, Logger } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { Backoff } from '../../runtime/backoff.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import { StopReason, isStop } from '../../runtime/stop-reason.js';
import { WatchedClusters } from '../watched-clusters.js';
import { type WatchersConfig, watchersConfig } from '../watchers.config.js';
import { type HistoryNote, type Observation, judge } from './observation.js';
import { OwedHistory } from './owed-history.js';
import { ResourceChanges } from './resource-changes.js';
import { ResourceHistoryRepository } from './resource-history.repository.js';
import type { ResourceDocument } from './resource.schema.js';
import { type ResourceChange, ResourcesRepository } from './resources.repository.js';
import { SightingWaiters } from './sighting-waiters.js';
import { type TrackedResource, TrackedResources } from './tracked-resources.js';

const WRITES_IN_FLIGHT = 16;

/**
 * Brings observations to the database, then to the bus. At most one observation of a resource waits, the latest; one of
 * a resource is written at a time. While the database fails, they stay and are tried again: bounded by the number of
 * resources, and nothing is lost.
 */
@Injectable()
export class StatusWriter {
  private readonly log = new Logger(StatusWriter.name);
  private readonly waiting = new Map<string, Observation>();
  private readonly writing = new Set<string>();
  private readonly owedHistory: OwedHistory;
  private readonly uncertain = new Map<string, { readonly version: number; readonly note: HistoryNote }>();
  private readonly backoff: Backoff;
  private readonly abort = new AbortController();
  private workers = 0;
  private paused: Promise<void> | undefined;
  private idle: Array<() => void> = [];
  private recheckFreshness: (resource: TrackedResource) => void = () => undefined;

  constructor(
    private readonly resources: ResourcesRepository,
    history: ResourceHistoryRepository,
    private readonly tracked: TrackedResources,
    private readonly changes: ResourceChanges,
    private readonly waiters: SightingWaiters,
    private readonly clusters: WatchedClusters,
    @Inject(watchersConfig.token) config: WatchersConfig,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) random: Random,
  ) {
    this.backoff = new Backoff({ baseMs: 500, maxMs: 30_000 }, random);
    this.owedHistory = new OwedHistory(history, config);
  }

  /** Observations that are not in the database yet. */
  get pending(): number {
    return this.pendingIds().length;
  }

  /** Ids of resources that have such an observation. */
  pendingIds(): string[] {
    return [...new Set([...this.waiting.keys(), ...this.writing])];
  }

  /** Told when a stored freshness turns out to be outdated by the time it is stored. */
  onOutdatedFreshness(recheck: (resource: TrackedResource) => void): void {
    this.recheckFreshness = recheck;
  }

  /** Takes the latest observation of a resource; supersedes one that still waits. */
  submit(resource: TrackedResource, observation: Observation): void {
    const { id } = resource;
    if (!this.waiting.has(id) && !this.writing.has(id)) {
      const verdict = judge(resource.document, observation, this.now());
      if (verdict.type === 'unchanged') this.waiters.sighted(resource, observation);
      if (verdict.type !== 'changed') return;
    }
    this.waiting.set(id, observation);
    this.pump();
  }

  /** Resolves when nothing waits any more, or `deadline` aborts; what then remains is observed again at the next start. */
  async stop(deadline: AbortSignal): Promise<void> {
    this.abort.abort(new StopReason('status writer'));
    if (this.pending === 0) return;
    await new Promise<void>((resolve) => {
      this.idle.push(resolve);
      deadline.addEventListener('abort', () => resolve(), { once: true });
      if (deadline.aborted) resolve();
    });
  }

  private pump(): void {
    while (this.workers < WRITES_IN_FLIGHT && [...this.waiting.keys()].some((id) => !this.writing.has(id))) {
      this.workers += 1;
      void this.work();
    }
  }

  private async work(): Promise<void> {
    for (let id = this.take(); id !== undefined; id = this.take()) {
      await this.paused;
      const observation = this.waiting.get(id);
      this.waiting.delete(id);
      try {
        if (observation) await this.write(id, observation);
        this.backoff.reset();
      } catch (error) {
        if (observation && !this.waiting.has(id)) this.waiting.set(id, observation);
        this.pause(id, error);
      } finally {
        this.writing.delete(id);
        this.settleFreshness(id);
      }
      if (this.abort.signal.aborted && this.backoff.consecutiveFailures > 0) this.waiting.clear();
    }
    this.workers -= 1;
    if (this.pending === 0) for (const resolve of this.idle.splice(0)) resolve();
  }

  /** A change of freshness passes over resources that are being written: what came too late for the write is told here. */
  private settleFreshness(id: string): void {
    const resource = this.tracked.get(id);
    if (!resource || this.waiting.has(id)) return;
    if (this.freshnessOf(resource.document) !== resource.document.freshness) this.recheckFreshness(resource);
  }

  private take(): string | undefined {
    for (const id of this.waiting.keys()) {
      if (this.writing.has(id)) continue;
      this.writing.add(id);
      return id;
    }
    return undefined;
  }

  private pause(resourceId: string, error: unknown): void {
    if (this.paused) return;
    const delayMs = this.backoff.next();
    this.log.warn({ message: 'a status could not be stored; trying again', resourceId, delayMs, error: String(error) });
    if (this.abort.signal.aborted) return;
    this.paused = this.clock
      .sleep(delayMs, this.abort.signal)
      .catch((reason: unknown) => {
        if (!isStop(reason)) throw reason;
      })
      .finally(() => {
        this.paused = undefined;
      });
  }

  private async write(id: string, observation: Observation): Promise<void> {
    await this.settleUncertain(id);
    await this.owedHistory.pay(id);
    for (;;) {
      const resource = this.tracked.get(id);
      if (!resource) return;
      const { document } = resource;
      const verdict = judge(document, observation, this.now());
      const change: ResourceChange = {
        ...(verdict.type === 'changed' ? verdict.change : {}),
        ...this.freshnessChange(document),
      };
      if (Object.keys(change).length === 0) {
        if (verdict.type === 'unchanged') this.waiters.sighted(resource, observation);
        return;
      }
      const note = verdict.type === 'changed' ? verdict.history : null;
      const stored = await this.store(id, document.version, change, note);
      if (stored) {
        if (note) this.owedHistory.owe(stored, note);
        this.changes.publish(stored);
        if (verdict.type !== 'irrelevant') this.waiters.sighted(resource, observation);
        await this.owedHistory.pay(id);
        return;
      }
      if (!(await this.reread(id))) return;
    }
  }

  private async store(
    id: string,
    version: number,
    change: ResourceChange,
    note: HistoryNote | null,
  ): Promise<ResourceDocument | null> {
    try {
      return await this.resources.update(SYSTEM_SCOPE, id, version, change);
    } catch (error) {
      // It may have been stored all the same; then its history entry is still owed.
      if (note) this.uncertain.set(id, { version: version + 1, note });
      throw error;
    }
  }

  private async settleUncertain(id: string): Promise<void> {
    const uncertain = this.uncertain.get(id);
    if (!uncertain) return;
    if (!(await this.reread(id))) return;
    this.uncertain.delete(id);
    const document = this.tracked.get(id)?.document;
    const { version, note } = uncertain;
    const wasStored = document?.version === version && (document.reason === note.reason || note.reason === 'Recreated');
    if (document && wasStored) this.owedHistory.owe(document, note);
  }

  /** After a lost race; false when there is nothing to write to any more. */
  private async reread(id: string): Promise<boolean> {
    const current = await this.resources.find(SYSTEM_SCOPE, id);
    if (!current?.watched) {
      this.tracked.remove(id);
      return false;
    }
    // Also tells what an earlier try has stored if only its answer was lost.
    this.changes.publish(current);
    return true;
  }

  private freshnessChange(document: ResourceDocument): ResourceChange {
    // While the watches end, nothing new is known about freshness; the next start distrusts what is stored.
    const freshness = this.abort.signal.aborted ? document.freshness : this.freshnessOf(document);
    return freshness === document.freshness ? {} : { freshness, freshnessSince: this.now(), updatedAt: this.now() };
  }

  private freshnessOf({ clusterId, kind, namespace }: ResourceDocument): ResourceDocument['freshness'] {
    return this.clusters.freshnessOf(clusterId.toString(), kind, namespace);
  }

  private now(): Date {
    return new Date(this.clock.now());
  }
}
