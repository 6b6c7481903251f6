import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Types } from 'mongoose';
import { SERVER_TIME, type ServerTime } from '../../database/index.js';
import { type SweepGuard, mayGoOn } from '../../leader-election/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import { TenantsRepository } from '../../tenants/index.js';
import { AGENT_DIRECTORY, type AgentDirectory } from '../agent-directory.js';
import { JobAnnouncer } from '../streams/job-announcer.js';
import { JobChanges } from '../job-changes.js';
import type { ListedJobDocument } from '../job.document.js';
import { JobLeases } from '../job-leases.js';
import { JobReleasesRepository } from './job-releases.repository.js';
import { JobReportsRepository } from '../reports/job-reports.repository.js';
import { JobSlots } from '../job-slots.js';
import { type JobsConfig, jobsConfig } from '../jobs.config.js';
import { CHANGED_AT_ONCE, SLICE, eachStep, inSlices } from './sweep.js';

/** Jobs that a sweep has changed, by what it did. */
export interface RecoveryCounts {
  released: number;
  expired: number;
  due: number;
  admitted: number;
  throttled: number;
  shortened: number;
}

export interface RecoveryResult {
  readonly changed: number;
  readonly counts: Readonly<RecoveryCounts>;
}

const ACTOR = 'job-recovery';
/** Leases differ by the time between two commands, not more. */
const LEASE_TOLERANCE_MS = 60_000;
const AGENTS_AT_ONCE = 200;
/** Of work that needs none. */
const NO_LEAD: SweepGuard['lease'] = { assertHeld: () => undefined };

type Slice = (ids: Types.ObjectId[], mark: string) => Promise<ListedJobDocument[]>;

/**
 * Brings jobs back that nobody takes further: leases that are over for whatever reason, agents that are gone, delays
 * that are over, waits that were too long, places that came free. Each change is conditional on what was read, so that
 * a sweep that comes too late changes nothing.
 */
@Injectable()
export class JobSweeps {
  private readonly log = new Logger(JobSweeps.name);

  constructor(
    private readonly repository: JobReleasesRepository,
    private readonly reports: JobReportsRepository,
    private readonly leases: JobLeases,
    private readonly changes: JobChanges,
    private readonly slots: JobSlots,
    private readonly announcer: JobAnnouncer,
    private readonly tenants: TenantsRepository,
    @Inject(AGENT_DIRECTORY) private readonly agents: AgentDirectory,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
    @Inject(jobsConfig.token) private readonly config: JobsConfig,
    @Inject(RANDOM) private readonly random: Random,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** @throws what failed, after every step was tried; LeaseLost, the signal's reason. */
  async recover(signal: AbortSignal, lease: SweepGuard['lease']): Promise<RecoveryResult> {
    const guard = { signal, lease };
    const counts: RecoveryCounts = { released: 0, expired: 0, due: 0, admitted: 0, throttled: 0, shortened: 0 };
    mayGoOn(guard);
    // A round trip old, so that what is over by it is over by the server's time as well.
    const now = await this.time.read();
    await eachStep(guard, [
      async () => void (counts.shortened += await this.shortenLeases(now)),
      async () => void (counts.released += await this.releaseOverdue(guard)),
      async () => void (counts.released += await this.releaseOfGoneAgents(guard)),
      async () => void (counts.expired += await this.expire(guard, now)),
      async () => void (counts.due += (await this.queueDue(guard, now)).length),
      () => this.fillPlaces(guard, counts),
    ]);
    const { shortened: _, ...ofJobs } = counts;
    return { changed: Object.values(ofJobs).reduce((sum, count) => sum + count, 0), counts };
  }

  /**
   * Only what is due, and places for it. Any replica may do this at any time: nothing but the time decides, and each
   * change is conditional. Returns how many. @throws the signal's reason.
   */
  async queueDueJobs(signal: AbortSignal): Promise<number> {
    const guard = { signal, lease: NO_LEAD };
    const queued = await this.queueDue(guard, await this.time.read());
    const throttled = queued.filter(({ state }) => state === 'throttled');
    for (const tenantId of new Set(throttled.map((job) => job.tenantId))) {
      mayGoOn(guard);
      await this.slots.fillTenant(tenantId);
    }
    return queued.length;
  }

  private async releaseOverdue(guard: SweepGuard): Promise<number> {
    const released = await inSlices(guard, this.clock, async () => {
      // Of each slice: by the time of the first, leases would be over that were given after a clock was set back.
      const now = await this.time.read();
      const overdue = await this.repository.overdueLeases(now, CHANGED_AT_ONCE);
      const change = this.changes.release(ACTOR, null);
      const ids = overdue.map(({ _id }) => _id);
      return this.slice('jobs were taken back', guard, ids, (_, mark) =>
        this.repository.release(overdue, this.changes.marked(change, mark), mark),
      );
    });
    return released.length;
  }

  private async releaseOfGoneAgents(guard: SweepGuard): Promise<number> {
    let released = 0;
    for (let after: string | null = ''; after !== null;) {
      const holders: string[] = [];
      while (after !== null && holders.length < AGENTS_AT_ONCE) {
        mayGoOn(guard);
        after = await this.reports.nextHolder(after);
        if (after !== null) holders.push(after);
      }
      if (holders.length === 0) break;
      for (const agentId of await this.agents.gone(holders)) {
        mayGoOn(guard);
        released += await this.leases.releaseAll(agentId, 'agent_offline', () => mayGoOn(guard));
      }
    }
    return released;
  }

  private async expire(guard: SweepGuard, now: Date): Promise<number> {
    const since = new Date(now.getTime() - this.config.queueLimitMs);
    const expired = await inSlices(guard, this.clock, async () => {
      const ids = await this.repository.waitingSince(since, CHANGED_AT_ONCE);
      const change = this.changes.expire(ACTOR);
      return this.slice('jobs waited too long and expired', guard, ids, (some, mark) =>
        this.repository.expire(some, since, this.changes.marked(change, mark), mark),
      );
    });
    return expired.length;
  }

  private async queueDue(guard: SweepGuard, now: Date): Promise<ListedJobDocument[]> {
    return inSlices(guard, this.clock, async () => {
      const due = await this.repository.due(now, CHANGED_AT_ONCE);
      const tenants = await this.tenants.ofNames([...new Set(due.map(({ tenantId }) => tenantId))]);
      const limited = new Set(tenants.filter(({ limits }) => limits.running !== null).map(({ name }) => name));
      const changed: ListedJobDocument[] = [];
      for (const state of ['throttled', 'queued'] as const) {
        const some = due.filter(({ tenantId }) => limited.has(tenantId) === (state === 'throttled'));
        const change = this.changes.due(state, ACTOR);
        const ids = some.map(({ _id }) => _id);
        const slice = await this.slice('delayed jobs were queued', guard, ids, (each, mark) =>
          this.repository.queueDue(each, now, this.changes.marked(change, mark), mark),
        );
        changed.push(...slice.changed);
      }
      return { read: due.length, changed };
    });
  }

  /** Limits that were set, raised or lifted, and places that no report has filled again. */
  private async fillPlaces(guard: SweepGuard, counts: RecoveryCounts): Promise<void> {
    for (let name = ''; ;) {
      mayGoOn(guard);
      const tenants = await this.tenants.namesAfter(name, SLICE);
      for (const tenant of tenants.filter(({ limits }) => limits.running !== null)) {
        mayGoOn(guard);
        counts.throttled += (await this.slots.throttle(tenant.name, () => mayGoOn(guard))).length;
      }
      if (tenants.length < SLICE) break;
      name = tenants.at(-1)?.name ?? '';
    }
    for (let name: string | null = ''; name !== null;) {
      mayGoOn(guard);
      name = await this.repository.nextThrottledTenant(name);
      if (name === null) break;
      const [tenant] = await this.tenants.ofNames([name]);
      const admitted = await this.slots.fill(name, tenant?.limits.running ?? null, () => mayGoOn(guard));
      counts.admitted += admitted.length;
    }
  }

  private async shortenLeases(now: Date): Promise<number> {
    const { leaseMs } = this.config;
    const beyond = new Date(now.getTime() + leaseMs + LEASE_TOLERANCE_MS);
    const shortened = await this.repository.shortenLeases(beyond, { $add: [this.time.now, leaseMs] });
    if (shortened > 0) this.log.warn({ message: 'leases ended too far in the future and were shortened', shortened });
    return shortened;
  }

  private async slice(
    message: string,
    guard: SweepGuard,
    ids: Types.ObjectId[],
    apply: Slice,
  ): Promise<{ read: number; changed: ListedJobDocument[] }> {
    if (ids.length === 0) return { read: 0, changed: [] };
    mayGoOn(guard);
    const changed = await apply(ids, this.random.uuid());
    this.announcer.changed(changed);
    for (const [outcome, jobs] of Map.groupBy(changed, ({ state, reason }) => `${state} ${reason ?? ''}`)) {
      const [state, reason] = outcome.split(' ');
      this.log.log({ message, state, reason, count: jobs.length, jobs: jobs.map(({ _id }) => _id.toHexString()) });
    }
    return { read: ids.length, changed };
  }
}
