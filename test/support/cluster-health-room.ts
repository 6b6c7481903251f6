import { SchedulerRegistry } from '@nestjs/schedule';
import { randomBytes } from 'node:crypto';
import { Registry } from 'prom-client';
import type { Principal } from '../../src/auth/principal.js';
import { ClusterAccessInput } from '../../src/cluster-health/cluster-access-input.js';
import { ClusterAccessSealing } from '../../src/cluster-health/cluster-access-sealing.js';
import { ClusterChecks } from '../../src/cluster-health/cluster-checks.js';
import { ClusterHealthHistoryRepository } from '../../src/cluster-health/cluster-health-history.repository.js';
import { ClusterHealthHistoryService } from '../../src/cluster-health/cluster-health-history.service.js';
import {
  type ClusterHealthHour,
  clusterHealthHourSchema,
} from '../../src/cluster-health/cluster-health-hour.schema.js';
import {
  type ClusterHealthSample,
  clusterHealthSampleSchema,
} from '../../src/cluster-health/cluster-health-sample.schema.js';
import type { ClusterHealthConfig } from '../../src/cluster-health/cluster-health.config.js';
import { ClusterHealthMetrics } from '../../src/cluster-health/cluster-health.metrics.js';
import { ClusterHealthMonitor } from '../../src/cluster-health/cluster-health.monitor.js';
import { ClusterRequestRates } from '../../src/cluster-health/cluster-request-rates.js';
import { ClusterUniqueness } from '../../src/cluster-health/cluster-uniqueness.js';
import { type ClusterDocument, clusterSchema } from '../../src/cluster-health/cluster.schema.js';
import { ClustersRepository } from '../../src/cluster-health/clusters.repository.js';
import { ClustersService } from '../../src/cluster-health/clusters.service.js';
import { PodServiceAccount } from '../../src/kubernetes/index.js';
import { PeriodicTasks } from '../../src/lifecycle/index.js';
import { EventBus } from '../../src/realtime/index.js';
import type { BusEvent } from '../../src/realtime/bus/bus-event.js';
import { CryptoRandom } from '../../src/runtime/random.js';
import { Sealer, parseSealingKey } from '../../src/sealing/index.js';
import { FakeClock } from './fake-clock.js';
import { FakeClusterProber } from './fake-cluster-prober.js';
import { testApis } from './kubernetes-apis.js';
import { openTestDatabase } from './test-database.js';

const CONFIG: ClusterHealthConfig = {
  periodMs: 60_000,
  workers: 5,
  checkTimeoutMs: 10_000,
  metadataMaxAgeMs: 600_000,
  checksPerMinute: 5,
  registrationsPerMinute: 1_000,
  sampleRetentionMs: 7 * 86_400_000,
  hourRetentionMs: 90 * 86_400_000,
};

export const ADMIN: Principal = { kind: 'user', id: 'ada', role: 'admin', tenantId: '*' };

/** The room on a real store, with a fake prober, a fake clock and a recording bus. */
export async function openClusterHealth(overrides: Partial<ClusterHealthConfig> = {}) {
  const config = { ...CONFIG, ...overrides };
  const database = await openTestDatabase();
  const { connection } = database;
  const clock = new FakeClock();
  const prober = new FakeClusterProber(clock);
  const registry = new Registry();
  const bus = new EventBus(clock, { eventBufferSize: 10_000 });
  const events: BusEvent<'cluster.checked' | 'cluster.changed'>[] = [];
  bus.subscribe('test', ['cluster.checked', 'cluster.changed'], (event) => void events.push(event), {
    bufferSize: 10_000,
  });
  await bus.start();
  const model = connection.model<ClusterDocument>('Cluster', clusterSchema);
  const clusters = new ClustersRepository(model);
  const history = new ClusterHealthHistoryRepository(
    connection.model<ClusterHealthSample>('ClusterHealthSample', clusterHealthSampleSchema),
    connection.model<ClusterHealthHour>('ClusterHealthHour', clusterHealthHourSchema),
    config,
  );
  const sealing = new ClusterAccessSealing(
    new Sealer([parseSealingKey(randomBytes(32).toString('base64'))], new CryptoRandom()),
  );
  const metrics = new ClusterHealthMetrics(registry, clusters);
  const checks = new ClusterChecks(clusters, history, sealing, prober, bus, metrics, config, clock);
  const apis = testApis();
  const service = new ClustersService(
    clusters,
    history,
    new ClusterAccessInput(new PodServiceAccount('/no/such/root'), clock),
    sealing,
    new ClusterUniqueness(clusters),
    checks,
    new ClusterRequestRates(config, clock),
    apis,
    bus,
    clock,
  );
  const tasks = new PeriodicTasks(new SchedulerRegistry(), clock);
  const monitor = new ClusterHealthMonitor(clusters, checks, metrics, config, clock, tasks);
  const historyService = new ClusterHealthHistoryService(clusters, history, config, clock);
  /** Lets a call that waits on the fake clock come to its end. */
  const finish = async <T>(call: Promise<T>): Promise<T> => {
    const state = { settled: false };
    const settled = (): void => void (state.settled = true);
    call.then(settled, settled);
    while (!state.settled) await clock.advance(1);
    return call;
  };
  return {
    config,
    database,
    model,
    clock,
    prober,
    registry,
    events,
    checks,
    service,
    monitor,
    historyService,
    finish,
    /** Registers `https://<name>` with the token `secret-of-<name>`. */
    register: (name: string, principal = ADMIN) =>
      finish(service.create(principal, { name, token: { server: `https://${name}`, token: `secret-of-${name}` } })),
    /** Puts many clusters into the store without a check. */
    seed: async (count: number) => {
      const first = await finish(
        service.create(ADMIN, { name: 'seed', token: { server: 'https://seed', token: 'secret' } }),
      );
      const { Types } = await import('mongoose');
      const now = new Date(clock.now());
      const template = await model.findById(first.id).lean<ClusterDocument>();
      await model.deleteMany({});
      const documents = Array.from({ length: count }, (_, index) => {
        const _id = new Types.ObjectId();
        const access = {
          clusterId: _id.toHexString(),
          accessVersion: 1,
          server: `https://c${index}`,
          credential: { type: 'token', token: `secret-of-c${index}` } as const,
        };
        const health = { uid: null, reachable: null, latencyMs: null, checkedAt: null, reason: null, metadata: null };
        const name = `c${index}`;
        return { ...template, ...health, _id, name, createdAt: now, ...sealing.seal('default', access, null) };
      });
      await model.insertMany(documents);
      prober.checks.length = 0;
      events.length = 0;
      return documents;
    },
    close: async () => {
      const stop = monitor.stop();
      await clock.advance(0);
      await stop;
      await bus.stop(AbortSignal.timeout(1_000));
      await apis.stop();
      await database.close();
    },
  };
}
