import type { Types } from 'mongoose';
import { Registry } from 'prom-client';
import type { Principal } from '../../src/auth/principal.js';
import type { AgentDirectory, AgentIdentity } from '../../src/jobs/agent-directory.js';
import type { ClaimRequest } from '../../src/jobs/claims/claim-waiter.js';
import { JobAnnouncer } from '../../src/jobs/streams/job-announcer.js';
import { JobChanges } from '../../src/jobs/job-changes.js';
import { JobClaimsRepository } from '../../src/jobs/claims/job-claims.repository.js';
import { JobCollection } from '../../src/jobs/job-collection.js';
import { JobDispatcher } from '../../src/jobs/claims/job-dispatcher.js';
import { JobEnqueue, type JobRequest } from '../../src/jobs/job-enqueue.js';
import { JobLeases } from '../../src/jobs/job-leases.js';
import { JobReleasesRepository } from '../../src/jobs/sweeps/job-releases.repository.js';
import { JobReportsRepository } from '../../src/jobs/reports/job-reports.repository.js';
import { JobReports } from '../../src/jobs/reports/job-reports.js';
import { JobSlots } from '../../src/jobs/job-slots.js';
import { JobStatsRepository } from '../../src/jobs/job-stats.repository.js';
import { JobSweeps } from '../../src/jobs/sweeps/job-sweeps.js';
import type { ClaimedJob, Job } from '../../src/jobs/job.js';
import { type JobsConfig, jobsConfig } from '../../src/jobs/jobs.config.js';
import { JobsMetrics } from '../../src/jobs/jobs.metrics.js';
import { JobsRepository } from '../../src/jobs/jobs.repository.js';
import { JobsService } from '../../src/jobs/jobs.service.js';
import { QueueOrderRepository } from '../../src/jobs/sweeps/queue-order.repository.js';
import { QueueOrder } from '../../src/jobs/sweeps/queue-order.js';
import { ReportWriter } from '../../src/jobs/reports/report-writer.js';
import { EventBus } from '../../src/realtime/index.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import type { TenantsConfig } from '../../src/tenants/index.js';
import { configDefaults } from './config-defaults.js';
import { FakeClock } from './fake-clock.js';
import { ADMIN, makeTenants } from './tenant-room.js';
import { type TestDatabase, openTestDatabase } from './test-database.js';

export const PLATFORM_AGENT = agent('p', '*');
export const NEVER = new AbortController().signal;
/** Leads for ever. */
export const HELD = { assertHeld: (): void => undefined };

/** `letter` makes the id. */
export function agent(letter: string, tenantId = 'default', labels: Record<string, string> = {}): AgentIdentity {
  return { id: Buffer.from(letter.padEnd(12, '.')).toString('hex'), tenantId, labels, schedulable: true };
}

export function hexOf(document: { readonly _id: Types.ObjectId } | undefined): string {
  if (!document) throw new Error('there is no such document');
  return document._id.toHexString();
}

/** All are there until they are told to be gone. */
export class FakeAgents implements AgentDirectory {
  readonly away = new Set<string>();
  /** The directory itself does not answer. */
  isAway = false;

  find(): Promise<AgentIdentity | null> {
    return Promise.resolve(null);
  }

  gone(agentIds: readonly string[]): Promise<ReadonlySet<string>> {
    if (this.isAway) return Promise.reject(new Error('the directory is away'));
    return Promise.resolve(new Set(agentIds.filter((id) => this.away.has(id))));
  }
}

export interface JobRoomSettings {
  readonly jobs?: Partial<JobsConfig>;
  readonly tenants?: Partial<TenantsConfig>;
}

/** One replica: everything that a process has, on a database that others may share. */
export function makeJobs(database: TestDatabase, clock: FakeClock, settings: JobRoomSettings = {}) {
  const config = configDefaults(jobsConfig, settings.jobs);
  const tenants = makeTenants(database.connection, clock, settings.tenants);
  const { time } = tenants;
  const random = new CryptoRandom();
  const agents = new FakeAgents();
  const bus = new EventBus(clock, { eventBufferSize: 1_000 });
  const changed: Job[] = [];
  bus.subscribe('test', ['job.changed'], ({ payload }) => void changed.push(payload.job), { bufferSize: 100_000 });
  const readiness: { state: 'ready' | 'draining' } = { state: 'ready' };

  const registry = new Registry();
  const metrics = new JobsMetrics(registry);
  const collection = new JobCollection(database.connection);
  const changes = new JobChanges(time, config);
  const announcer = new JobAnnouncer(bus, metrics);
  const claims = new JobClaimsRepository(collection, changes);
  const reportsRepository = new JobReportsRepository(collection);
  const releases = new JobReleasesRepository(collection);
  const repository = new JobsRepository(collection, changes);
  const slots = new JobSlots(collection, changes, announcer, tenants.service, random);
  const dispatcher = new JobDispatcher(claims, announcer, metrics, bus, readiness, config, clock, random);
  const enqueue = new JobEnqueue(
    repository,
    slots,
    announcer,
    tenants.clocks,
    tenants.service,
    config,
    tenants.config,
    random,
  );
  const writer = new ReportWriter(collection);
  const reports = new JobReports(reportsRepository, writer, changes, slots, announcer);
  const leases = new JobLeases(reportsRepository, releases, writer, changes, slots, announcer, random);
  const sweeps = new JobSweeps(
    releases,
    reportsRepository,
    leases,
    changes,
    slots,
    announcer,
    tenants.repository,
    agents,
    time,
    config,
    random,
    clock,
  );
  const order = new QueueOrder(
    new QueueOrderRepository(collection),
    releases,
    tenants.repository,
    tenants.plans,
    tenants.clocks,
    metrics,
    time,
    tenants.config,
  );
  const stats = new JobStatsRepository(collection);
  const service = new JobsService(repository, stats, slots, announcer, tenants.service, tenants.clocks, tenants.config);

  /** Enqueues jobs that differ from the ordinary in what is given. */
  async function add(changesOf: Partial<JobRequest> = {}, count = 1, by: Principal = ADMIN) {
    const request: JobRequest = {
      type: 'scan',
      payload: {},
      pool: 'platform',
      requires: '',
      priority: 0,
      ...changesOf,
    };
    return enqueue.enqueue(
      by,
      Array.from({ length: count }, () => request),
    );
  }

  let claimIds = 0;
  /** Claims without waiting. */
  function claim(by: AgentIdentity, request: Partial<ClaimRequest> = {}, signal = NEVER): Promise<ClaimedJob[]> {
    claimIds += 1;
    const claimId = `claim-${claimIds}`;
    return dispatcher.claim(by, { capacity: 1, labels: {}, waitMs: 0, claimId, ...request }, signal);
  }

  async function claimOne(by: AgentIdentity): Promise<ClaimedJob & { readonly token: string }> {
    const [job] = await claim(by);
    if (!job) throw new Error('there was no job to claim');
    return { ...job, token: job.lease.token };
  }

  const stateOf = async (id: string): Promise<string> => (await service.get(ADMIN, id)).state;
  const sweep = () => sweeps.recover(NEVER, HELD);

  return {
    config,
    tenants,
    agents,
    bus,
    changed,
    readiness,
    collection,
    jobs: repository,
    changes,
    claims,
    releases,
    dispatcher,
    enqueue,
    reports,
    leases,
    sweeps,
    order,
    registry,
    service,
    slots,
    add,
    claim,
    claimOne,
    stateOf,
    sweep,
  };
}

export type JobReplica = ReturnType<typeof makeJobs>;

export async function openJobRoom(settings: JobRoomSettings = {}) {
  const database = await openTestDatabase();
  const clock = new FakeClock();
  const replica = makeJobs(database, clock, settings);
  await replica.bus.start();
  return {
    ...replica,
    database,
    clock,
    /** As if no job had ever been there. */
    clear: async (): Promise<void> => {
      replica.changed.length = 0;
      replica.agents.away.clear();
      replica.agents.isAway = false;
      await replica.collection.documents.deleteMany({});
      await replica.tenants.repository.collection.deleteMany({ name: { $ne: 'default' } });
      await replica.tenants.repository.collection.updateMany({}, { $set: { clocks: {} } });
    },
    close: async (): Promise<void> => {
      await replica.dispatcher.stop();
      await replica.bus.stop(AbortSignal.abort());
      await database.close();
    },
  };
}

export type JobRoom = Awaited<ReturnType<typeof openJobRoom>>;
