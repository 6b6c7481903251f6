import './support/quiet-logger.js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { watchSourceContract } from './contracts/watch-source.contract.js';
import type { FakeObject } from './support/fake-watch-source.js';
import { accessTo, testApis } from './support/kubernetes-apis.js';
import { describeOwnCluster } from './support/real-cluster.js';
import { type TestDatabase, openTestDatabase } from './support/test-database.js';
import { WatcherRoom, newId, until } from './support/watcher-room.js';
import type { KubernetesApis } from '../src/kubernetes/index.js';
import { SystemClock } from '../src/runtime/clock.js';
import { KubernetesWatchSource } from '../src/watchers/reflector/kubernetes-watch-source.js';
import type { WatchSource } from '../src/watchers/reflector/watch-source.js';
import type { WatchSources } from '../src/watchers/watch-sources.js';

const timeoutMs = 120_000;

/** Two registered clusters: one API server with the rights of its administrator, and of somebody with few. */
class RealClusters implements WatchSources {
  readonly clock = new SystemClock();

  constructor(private readonly apis: KubernetesApis) {}

  sourceOf(clusterId: string): WatchSource {
    return new KubernetesWatchSource(() => this.apis.forCluster(clusterId));
  }

  namespacesOf(): Promise<null> {
    return Promise.resolve(null);
  }
}

describeOwnCluster('watchers of a real API server', (cluster) => {
  const admin = newId();
  const bob = newId();
  let apis: KubernetesApis;
  let database: TestDatabase;
  let room: WatcherRoom;

  beforeAll(async () => {
    const { controlPlane } = cluster();
    const { tokens } = controlPlane.facts;
    apis = testApis();
    apis.bindAccess({
      accessOf: (clusterId) => {
        const token = clusterId === admin ? tokens.admin : tokens.bob;
        return Promise.resolve({ ...accessTo(controlPlane, { type: 'token', token }), clusterId });
      },
    });
    database = await openTestDatabase();
    room = await new WatcherRoom(database.connection, new RealClusters(apis), {
      // Quick enough for a test; the rules between these delays are tested on a clock that stands still.
      backoffBaseMs: 500,
      backoffMaxMs: 2_000,
      probePeriodMs: 500,
      forbiddenRetryMaxMs: 2_000,
    }).start();
  }, timeoutMs);

  afterAll(async () => {
    await room?.stop();
    await apis?.stop();
    await database?.close();
  }, timeoutMs);

  const create = async (path: string, body: Record<string, unknown>): Promise<FakeObject> => {
    const answer = await cluster().controlPlane.request<FakeObject>('POST', path, body);
    if (answer.status !== 201) throw new Error(`POST ${path}: ${JSON.stringify(answer.body)}`);
    return { ...answer.body, kind: String(body['kind']) };
  };
  const configMaps = (namespace: string): string => `/api/v1/namespaces/${namespace}/configmaps`;
  const addConfigMap = (namespace: string, name: string): Promise<FakeObject> =>
    create(configMaps(namespace), { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { key: 'value' } });
  const becomes = (id: string, health: string, freshness = 'live', withinMs = 30_000): Promise<void> =>
    until(
      () => room.last(id)?.health === health && room.last(id)?.freshness === freshness,
      () => `${health}, ${freshness}; it is ${JSON.stringify(room.last(id))}`,
      withinMs,
    );

  watchSourceContract('a real API server', async () => {
    const { controlPlane } = cluster();
    const namespaces = [await controlPlane.createNamespace('first'), await controlPlane.createNamespace('second')];
    const [first = '', second = ''] = namespaces;
    const path = (namespace: string, name: string): string => `${configMaps(namespace)}/${name}`;
    const change = async (method: string, ...[target, body]: [string, unknown?]): Promise<void> => {
      const { status } = await controlPlane.request(method, target, body, 'application/merge-patch+json');
      if (status !== 200) throw new Error(`${method} ${target}: ${status}`);
    };
    return {
      source: new RealClusters(apis).sourceOf(admin),
      namespaces: [first, second],
      addConfigMap: async (namespace, name) => void (await addConfigMap(namespace, name)),
      changeConfigMap: (namespace, name) => change('PATCH', path(namespace, name), { data: { key: 'changed' } }),
      removeConfigMap: (namespace, name) => change('DELETE', path(namespace, name)),
      expiredVersion: async () => {
        // An API server's history of a kind begins when it starts.
        await controlPlane.restart('kube-apiserver');
        return '1';
      },
      elapse: (ms) => new RealClusters(apis).clock.sleep(ms),
      close: () => Promise.resolve(),
    };
  });

  describe('with a rollout', () => {
    it(
      'follows it to healthy, sees a scaling by somebody else and a removal behind our back',
      async () => {
        const { controlPlane } = cluster();
        const namespace = await controlPlane.createNamespace('rollout');
        const path = `/apis/apps/v1/namespaces/${namespace}/deployments`;
        const deployment = await create(path, deploymentOf('web', 2));
        const { id } = await room.apply(deployment, { clusterId: admin });
        const { uid, resourceVersion } = deployment.metadata;
        const healthy = await room.service.waitForHealth(id, { uid, resourceVersion }, AbortSignal.timeout(60_000));
        expect(healthy).toMatchObject({ health: 'healthy', rollout: 'complete', freshness: 'live' });
        expect(healthy.children.some(({ kind }) => kind === 'Pod')).toBe(true);
        expect(room.told.filter((each) => each.id === id).map(({ health }) => health)).toContain('progressing');

        await controlPlane.kubectl(['-n', namespace, 'scale', 'deployment/web', '--replicas=3']);
        await until(
          () => room.last(id)?.details['desired'] === 3,
          () => 'three replicas',
          30_000,
        );
        await becomes(id, 'healthy');

        await controlPlane.kubectl(['-n', namespace, 'delete', 'deployment/web']);
        await becomes(id, 'missing');
      },
      timeoutMs,
    );
  });

  it(
    'shows everything stale while the API server is down, and catches up when it is back',
    async () => {
      const { controlPlane } = cluster();
      const namespace = await controlPlane.createNamespace('outage');
      const [kept, changed] = [await addConfigMap(namespace, 'kept'), await addConfigMap(namespace, 'changed')];
      const secret = await create(`/api/v1/namespaces/${namespace}/secrets`, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'password' },
        stringData: { password: 'canary-7f3a' },
      });
      const ids: string[] = [];
      for (const object of [kept, changed, secret]) ids.push((await room.apply(object, { clusterId: admin })).id);
      for (const id of ids) await becomes(id, 'healthy');

      await controlPlane.kill('kube-apiserver');
      for (const id of ids) await becomes(id, 'unknown', 'stale');
      expect(room.last(ids[0] ?? '')?.reason).toBe('Stale');

      await controlPlane.restart('kube-apiserver');
      await controlPlane.request('DELETE', `${configMaps(namespace)}/changed`);
      await becomes(ids[0] ?? '', 'healthy');
      await becomes(ids[1] ?? '', 'missing');
      await becomes(ids[2] ?? '', 'healthy');
      expect(JSON.stringify(room.told)).not.toContain('canary-7f3a');
    },
    timeoutMs,
  );

  it(
    'tells a missing right for its kind alone, and goes on when it is given',
    async () => {
      const { controlPlane } = cluster();
      const namespace = await controlPlane.createNamespace('rights');
      const rbac = `/apis/rbac.authorization.k8s.io/v1/namespaces/${namespace}`;
      const roleOf = (resources: readonly string[]): Record<string, unknown> => ({
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'Role',
        metadata: { name: 'watcher' },
        rules: [{ apiGroups: [''], resources, verbs: ['list', 'watch'] }],
      });
      await create(`${rbac}/roles`, roleOf(['configmaps']));
      await create(`${rbac}/rolebindings`, {
        apiVersion: 'rbac.authorization.k8s.io/v1',
        kind: 'RoleBinding',
        metadata: { name: 'watcher' },
        roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'Role', name: 'watcher' },
        subjects: [{ apiGroup: 'rbac.authorization.k8s.io', kind: 'User', name: 'bob' }],
      });
      const map = await addConfigMap(namespace, 'seen');
      const claim = await create(`/api/v1/namespaces/${namespace}/secrets`, {
        apiVersion: 'v1',
        kind: 'Secret',
        metadata: { name: 'hidden' },
      });
      const seen = await room.apply(map, { clusterId: bob });
      const hidden = await room.apply(claim, { clusterId: bob });
      await becomes(seen.id, 'healthy');
      await until(
        () => room.last(hidden.id)?.freshness === 'stale',
        () => 'a stale secret',
        30_000,
      );
      const refused = room.manager.watches().find((watch) => watch.clusterId === bob && watch.kind === 'Secret');
      expect(refused).toMatchObject({
        state: 'forbidden',
        error: { verb: 'list', resource: 'secrets', namespace },
      });

      const given = roleOf(['configmaps', 'secrets']);
      await controlPlane.request('PATCH', `${rbac}/roles/watcher`, given, 'application/merge-patch+json');
      await becomes(hidden.id, 'healthy');
    },
    timeoutMs,
  );

  it(
    'replaces the watches of six namespaces by one',
    async () => {
      const { controlPlane } = cluster();
      const ids: string[] = [];
      for (let n = 0; n < 6; n += 1) {
        const namespace = await controlPlane.createNamespace('wide');
        const claim = await create(`/api/v1/namespaces/${namespace}/persistentvolumeclaims`, {
          apiVersion: 'v1',
          kind: 'PersistentVolumeClaim',
          metadata: { name: 'data' },
          spec: {
            accessModes: ['ReadWriteOnce'],
            resources: { requests: { storage: '1Mi' } },
            storageClassName: 'none',
          },
        });
        ids.push((await room.apply(claim, { clusterId: admin })).id);
      }
      for (const id of ids) await becomes(id, 'healthy');
      const running = (): string[] =>
        room.manager
          .watches()
          .filter(({ kind }) => kind === 'PersistentVolumeClaim')
          .map(({ namespace }) => namespace ?? '*');
      await until(
        () => running().join() === '*',
        () => `one watch, not ${running().join()}`,
        30_000,
      );
    },
    timeoutMs,
  );
});

function deploymentOf(name: string, replicas: number): Record<string, unknown> {
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: { app: name } },
      template: {
        metadata: { labels: { app: name } },
        spec: { containers: [{ name: 'app', image: 'example.test/app:1' }] },
      },
    },
  };
}
