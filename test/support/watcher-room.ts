import { SchedulerRegistry } from '@nestjs/schedule';
import mongoose, { type Connection } from 'mongoose';
import { PeriodicTasks } from '../../src/lifecycle/index.js';
import { EventBus } from '../../src/realtime/index.js';
import type { Clock } from '../../src/runtime/clock.js';
import type { Random } from '../../src/runtime/random.js';
import type { Resource } from '../../src/watchers/resource.js';
import { ResourcesService } from '../../src/watchers/resources.service.js';
import { StatusTracker } from '../../src/watchers/status-tracker.js';
import { FreshnessWriter } from '../../src/watchers/tracking/freshness-writer.js';
import { ResourceChanges } from '../../src/watchers/tracking/resource-changes.js';
import { ResourceHistoryRepository } from '../../src/watchers/tracking/resource-history.repository.js';
import { resourceHistorySchema } from '../../src/watchers/tracking/resource-history.schema.js';
import { resourceSchema } from '../../src/watchers/tracking/resource.schema.js';
import { ResourcesRepository } from '../../src/watchers/tracking/resources.repository.js';
import { SightingWaiters } from '../../src/watchers/tracking/sighting-waiters.js';
import { StatusWriter } from '../../src/watchers/tracking/status-writer.js';
import { TrackedResources } from '../../src/watchers/tracking/tracked-resources.js';
import type { WatchSource } from '../../src/watchers/reflector/watch-source.js';
import type { WatchSources } from '../../src/watchers/watch-sources.js';
import { WatchedClusters } from '../../src/watchers/watched-clusters.js';
import { WatcherManager } from '../../src/watchers/watcher-manager.js';
import type { WatchersConfig } from '../../src/watchers/watchers.config.js';
import { FakeClock } from './fake-clock.js';
import { type FakeObject, FakeWatchSource } from './fake-watch-source.js';

export const newId = (): string => new mongoose.Types.ObjectId().toHexString();

export const WATCHERS_CONFIG: WatchersConfig = {
  backoffBaseMs: 5_000,
  backoffMaxMs: 60_000,
  backoffResetMs: 120_000,
  forbiddenRetryMaxMs: 300_000,
  probePeriodMs: 2_000,
  watchTimeoutMs: 300_000,
  listPageSize: 500,
  listsInFlight: 4,
  wideFrom: 6,
  resyncPeriodMs: 300_000,
  historyRetentionMs: 30 * 86_400_000,
  historyPerResource: 200,
};

const middle: Random = {
  float: () => 0.5,
  bytes: (length) => Buffer.alloc(length),
  uuid: () => '00000000-0000-4000-8000-000000000000',
};

/** Clusters that outlive the process that watches them. */
export class PlayedClusters implements WatchSources {
  readonly sources = new Map<string, FakeWatchSource>();
  readonly limits = new Map<string, readonly string[] | null>();

  constructor(readonly clock: FakeClock) {}

  create(namespaces: readonly string[] | null = null): { id: string; source: FakeWatchSource } {
    const id = newId();
    const source = new FakeWatchSource(this.clock);
    this.sources.set(id, source);
    this.limits.set(id, namespaces);
    return { id, source };
  }

  sourceOf(id: string): WatchSource {
    const source = this.sources.get(id);
    if (!source) throw new Error('there is no such cluster');
    return source;
  }

  namespacesOf(id: string): Promise<readonly string[] | null | undefined> {
    return Promise.resolve(this.limits.get(id));
  }
}

/** The watchers as one process runs them, on a real store. */
export class WatcherRoom {
  readonly bus: EventBus;
  /** Every change that was told, in its order. */
  readonly told: Resource[] = [];
  readonly resources: ResourcesRepository;
  readonly history: ResourceHistoryRepository;
  readonly tracked = new TrackedResources();
  readonly clusters = new WatchedClusters();
  readonly waiters = new SightingWaiters();
  readonly writer: StatusWriter;
  readonly manager: WatcherManager;
  readonly service: ResourcesService;

  constructor(
    connection: Connection,
    sources: WatchSources & { readonly clock: Clock },
    config: Partial<WatchersConfig> = {},
    repository: (connection: Connection) => ResourcesRepository = repositoryOn,
  ) {
    const { clock } = sources;
    const settings = { ...WATCHERS_CONFIG, ...config };
    this.bus = new EventBus(clock, { eventBufferSize: 1_000 });
    this.bus.subscribe('test', ['resource.changed'], ({ payload }) => void this.told.push(payload.resource), {
      bufferSize: 1_000_000,
      overflow: 'drop-oldest',
    });
    this.resources = repository(connection);
    this.history = new ResourceHistoryRepository(
      connection.models['ResourceHistory'] ?? connection.model('ResourceHistory', resourceHistorySchema),
    );
    const changes = new ResourceChanges(this.bus, this.tracked, this.waiters);
    this.writer = new StatusWriter(
      this.resources,
      this.history,
      this.tracked,
      changes,
      this.waiters,
      this.clusters,
      settings,
      clock,
      middle,
    );
    const freshness = new FreshnessWriter(
      this.resources,
      this.tracked,
      changes,
      this.clusters,
      this.writer,
      clock,
      middle,
    );
    const tracker = new StatusTracker(this.tracked, this.clusters, this.writer, freshness, clock);
    this.manager = new WatcherManager(
      this.resources,
      this.tracked,
      this.clusters,
      tracker,
      this.writer,
      freshness,
      this.bus,
      sources,
      settings,
      clock,
      middle,
      new PeriodicTasks(new SchedulerRegistry(), clock),
    );
    this.service = new ResourcesService(
      this.resources,
      this.history,
      this.tracked,
      changes,
      this.waiters,
      tracker,
      this.manager,
      clock,
    );
  }

  async start(): Promise<this> {
    await this.bus.start();
    await this.manager.start();
    return this;
  }

  async stop(): Promise<void> {
    const never = new AbortController().signal;
    await this.manager.stop(never);
    await this.bus.stop(never);
  }

  /** Tracks the object of a node and says that we have applied it. */
  async apply(
    object: FakeObject,
    node: { clusterId: string; workflowId?: string; nodeId?: string },
  ): Promise<Resource> {
    const { name, namespace, uid, resourceVersion } = object.metadata;
    const resource = await this.service.track({
      tenantId: 'default',
      workflowId: newId(),
      nodeId: `${object.kind.toLowerCase()}-${name}`,
      kind: object.kind,
      namespace,
      name,
      ...node,
    });
    await this.service.applied(resource.id, { uid, resourceVersion, generation: null });
    return resource;
  }

  /** The last told state of a resource. */
  last(id: string): Resource | undefined {
    return this.told.findLast((each) => each.id === id);
  }
}

export function repositoryOn(connection: Connection): ResourcesRepository {
  return new ResourcesRepository(connection.models['Resource'] ?? connection.model('Resource', resourceSchema));
}

/** Lets everything run, the store included, until `condition` holds; throws when it does not in time. */
export async function until(
  condition: () => boolean | Promise<boolean>,
  what: () => string = () => 'the expected state',
  withinMs = 10_000,
): Promise<void> {
  const deadline = performance.now() + withinMs;
  while (!(await condition())) {
    if (performance.now() > deadline) throw new Error(`waited ${withinMs} ms in vain for ${what()}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

/** As `until`, while time goes on: for what is tried again after a delay that begins only when the store has answered. */
export function untilLater(clock: FakeClock, condition: () => boolean | Promise<boolean>): Promise<void> {
  return until(
    async () => {
      await clock.advance(250);
      return condition();
    },
    () => 'the expected state',
    15_000,
  );
}
