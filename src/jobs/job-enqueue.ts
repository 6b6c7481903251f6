import { Inject, Injectable, Logger } from '@nestjs/common';
import { Types } from 'mongoose';
import { ALL_TENANTS, DEFAULT_TENANT, type Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { RANDOM, type Random } from '../runtime/random.js';
import {
  type Pool,
  type TenantsConfig,
  TenantsService,
  type Ticket,
  VirtualClocks,
  tenantsConfig,
} from '../tenants/index.js';
import { JobAnnouncer } from './streams/job-announcer.js';
import type { JobDocument, ListedJobDocument } from './job.document.js';
import { limitedJson } from './limited-json.js';
import { JobSlots } from './job-slots.js';
import { runnableState } from './job-state.js';
import { type JobsConfig, jobsConfig } from './jobs.config.js';
import { JobsRepository } from './jobs.repository.js';
import { canonicalSelector, laneOf } from './lane.js';
import { refuseBeyondLimit } from './queue-limit.js';
import { rankOf } from './rank.js';

/** A job as somebody asks for it. */
export interface JobRequest {
  readonly type: string;
  readonly payload?: unknown;
  readonly pool: Pool;
  readonly requires: string;
  readonly tenantId?: string | undefined;
  readonly priority: number;
  readonly timeoutMs?: number | null | undefined;
  readonly maxRetries?: number | undefined;
  readonly notBefore?: string | undefined;
  readonly idempotencyKey?: string | undefined;
}

type Wanted = JobRequest & { readonly tenantId: string; readonly text: string };

interface Group {
  readonly tenantId: string;
  readonly requests: readonly Wanted[];
  readonly ticket: Ticket;
}

/** Takes jobs in. All of a request, or none of it. */
@Injectable()
export class JobEnqueue {
  private readonly log = new Logger(JobEnqueue.name);

  constructor(
    private readonly repository: JobsRepository,
    private readonly slots: JobSlots,
    private readonly announcer: JobAnnouncer,
    @Inject(VirtualClocks) private readonly clocks: Pick<VirtualClocks, 'tick'>,
    @Inject(TenantsService) private readonly tenants: Pick<TenantsService, 'exists'>,
    @Inject(jobsConfig.token) private readonly config: JobsConfig,
    @Inject(tenantsConfig.token) private readonly tenantsConfiguration: TenantsConfig,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /**
   * Returns the jobs in the order of the requests; for one whose idempotency key a job of the tenant has, that one.
   * @throws AppError `resource.not_found` (tenant), `request.too_large`, `job.limit`.
   */
  async enqueue(principal: Principal, requests: readonly JobRequest[]): Promise<ListedJobDocument[]> {
    const wanted = requests.map((request) => this.wanted(principal, request));
    const known = byKey(await this.repository.byKeys(wanted.flatMap(keyOf)));
    const fresh = withoutTwins(wanted.filter((request) => !known.has(keyText(request))));
    const groups = await this.tickets(fresh);
    await this.refuseBeyondLimits(groups);
    const documents = new Map(groups.flatMap((group) => this.documents(principal, group)));
    const refused = await this.repository.insert([...documents.values()]);
    await this.refuseDeletedTenants(groups, [...documents.values()]);
    const late = byKey(await this.repository.byKeys(refused.flatMap(keyOf)));
    const stored = [...documents.values()].filter((document) => !refused.includes(document));
    const states = await this.announce(stored);
    const byKeyOrSelf = (request: Wanted): ListedJobDocument => {
      const own = documents.get(request);
      const key = keyText(request);
      const twin = key === null ? undefined : (known.get(key) ?? late.get(key) ?? documentOfKey(documents, key));
      const job = own !== undefined && !refused.includes(own) ? own : twin;
      if (!job) throw new Error('a job was neither stored nor found');
      return states.get(job._id.toHexString()) ?? job;
    };
    return wanted.map(byKeyOrSelf);
  }

  private wanted(principal: Principal, request: JobRequest): Wanted {
    const tenantId = request.tenantId ?? (principal.tenantId === ALL_TENANTS ? DEFAULT_TENANT : principal.tenantId);
    if (principal.tenantId !== ALL_TENANTS && tenantId !== principal.tenantId) throw AppError.notFound('tenant');
    const text = limitedJson(request.payload ?? null, 'payload');
    return { ...request, tenantId, requires: canonicalSelector(request.requires), text };
  }

  /** Places in the order of each tenant and pool. */
  private async tickets(requests: readonly Wanted[]): Promise<Group[]> {
    const groups = Map.groupBy(requests, ({ tenantId, pool }) => `${pool} ${tenantId}`);
    const ticketed = [...groups.values()].map(async (group) => {
      const { tenantId = '', pool = 'tenant' } = group[0] ?? {};
      const ticket = await this.clocks.tick(tenantId, pool, group.length);
      if (ticket === null) throw AppError.notFound('tenant');
      return { tenantId, requests: group, ticket };
    });
    return Promise.all(ticketed);
  }

  private async refuseBeyondLimits(groups: readonly Group[]): Promise<void> {
    for (const ofTenant of Map.groupBy(groups, (group) => group.tenantId).values()) {
      const more = ofTenant.reduce((sum, { requests }) => sum + requests.length, 0);
      if (ofTenant[0]) await refuseBeyondLimit(this.repository, ofTenant[0].ticket.tenant, more);
    }
  }

  private documents(principal: Principal, { requests, ticket }: Group): Array<[Wanted, JobDocument]> {
    return requests.map((request, k) => [request, this.document(principal, request, ticket, k)]);
  }

  private document(principal: Principal, request: Wanted, ticket: Ticket, k: number): JobDocument {
    const { type, pool, requires, tenantId, priority, text, timeoutMs, maxRetries, idempotencyKey } = request;
    const now = new Date(ticket.at);
    const notBefore = request.notBefore === undefined ? null : new Date(request.notBefore);
    const isLater = notBefore !== null && notBefore > now;
    // A job that waits for its time does not grow older meanwhile.
    const virtualStart = Math.max(ticket.startOf(k), notBefore?.getTime() ?? 0);
    const points = ticket.plan.base + priority;
    const state = isLater ? 'scheduled' : runnableState(ticket.tenant);
    const by = principal.id;
    return {
      _id: new Types.ObjectId(),
      tenantId,
      type,
      pool,
      requires,
      lane: laneOf(pool, tenantId, requires, Buffer.byteLength(text)),
      priority,
      virtualStart,
      rank: rankOf(virtualStart, points, this.tenantsConfiguration.priorityBonus),
      state,
      reason: null,
      payload: text,
      timeoutMs: timeoutMs ?? null,
      maxRetries: maxRetries ?? this.config.maxRetries,
      notBefore,
      ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      ...(isLater ? { runAt: notBefore } : { waitingSince: now }),
      epoch: 0,
      ended: null,
      attempts: 0,
      agentId: null,
      progress: null,
      cancelRequested: false,
      result: null,
      error: null,
      jitter: this.random.float(),
      history: [{ at: now, event: 'enqueue', state, attempt: 0, agentId: null, by, reason: null }],
      startedAt: null,
      endedAt: null,
      version: 1,
      createdAt: now,
      updatedAt: now,
      createdBy: by,
    };
  }

  /** A deletion that has begun meanwhile either sees these jobs, or is seen here. */
  private async refuseDeletedTenants(groups: readonly Group[], documents: readonly JobDocument[]): Promise<void> {
    for (const { tenantId, ticket } of groups) {
      if (await this.tenants.exists(tenantId, new Date(ticket.at))) continue;
      await this.repository.discard(documents.map(({ _id }) => _id));
      throw AppError.notFound('tenant');
    }
  }

  /** Returns what has become of throttled ones by being admitted at once. */
  private async announce(stored: readonly JobDocument[]): Promise<Map<string, ListedJobDocument>> {
    if (stored.length > 0) this.log.log({ message: 'jobs were taken in', count: stored.length });
    this.announcer.changed(stored);
    const throttled = Map.groupBy(
      stored.filter(({ state }) => state === 'throttled'),
      ({ tenantId }) => tenantId,
    );
    const admitted: ListedJobDocument[] = [];
    for (const tenantId of throttled.keys()) admitted.push(...(await this.slots.fillTenant(tenantId)));
    return new Map(admitted.map((document) => [document._id.toHexString(), document]));
  }
}

interface Keyed {
  readonly tenantId: string;
  readonly idempotencyKey?: string | undefined;
}

function keyOf({ tenantId, idempotencyKey }: Keyed): Array<{ tenantId: string; idempotencyKey: string }> {
  return idempotencyKey === undefined ? [] : [{ tenantId, idempotencyKey }];
}

function keyText({ tenantId, idempotencyKey }: Keyed): string | null {
  return idempotencyKey === undefined ? null : `${tenantId}\n${idempotencyKey}`;
}

function byKey(documents: readonly JobDocument[]): Map<string | null, JobDocument> {
  return new Map(documents.map((document) => [keyText(document), document]));
}

/** Of requests with the same key, the first. */
function withoutTwins(requests: readonly Wanted[]): Wanted[] {
  const seen = new Set<string>();
  return requests.filter((request) => {
    const key = keyText(request);
    if (key === null) return true;
    if (seen.has(key)) return false;
    seen.add(key);
    return true;
  });
}

function documentOfKey(documents: ReadonlyMap<Wanted, JobDocument>, key: string): JobDocument | undefined {
  for (const [request, document] of documents) if (keyText(request) === key) return document;
  return undefined;
}
