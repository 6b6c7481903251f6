import '../../test/support/quiet-logger.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../test/support/fake-clock.js';
import type { FakeObject, FakeWatchSource } from '../../test/support/fake-watch-source.js';
import { type TestDatabase, openTestDatabase } from '../../test/support/test-database.js';
import { PlayedClusters, WatcherRoom, newId, until } from '../../test/support/watcher-room.js';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { StopReason } from '../runtime/stop-reason.js';
import type { Health, Resource } from './resource.js';

const APPS_V1 = { apiVersion: 'apps/v1' };

describe('the watchers', () => {
  let database: TestDatabase;
  let clock: FakeClock;
  let played: PlayedClusters;
  let room: WatcherRoom;
  let clusterId: string;
  let source: FakeWatchSource;

  beforeAll(async () => {
    database = await openTestDatabase();
  }, 30_000);
  afterAll(() => database.close());

  beforeEach(async () => {
    await database.connection.collection('resources').deleteMany({});
    await database.connection.collection('resource_history').deleteMany({});
    clock = new FakeClock();
    played = new PlayedClusters(clock);
    ({ id: clusterId, source } = played.create());
    room = await new WatcherRoom(database.connection, played).start();
  });
  afterEach(async () => {
    await room.stop();
    expect(clock.pendingTimers).toBe(0);
    for (const each of played.sources.values()) expect(each.openWatches).toBe(0);
    expect(room.waiters.size).toBe(0);
  });

  const stored = async (id: string): Promise<Resource> => {
    const resource = (await room.service.ofWorkflow(workflowOf.get(id) ?? '')).find((each) => each.id === id);
    if (!resource) throw new Error(`there is no resource ${id}`);
    return resource;
  };
  const workflowOf = new Map<string, string>();
  const apply = async (object: FakeObject, workflowId = newId(), into = clusterId): Promise<string> => {
    const { id } = await room.apply(object, { clusterId: into, workflowId });
    workflowOf.set(id, workflowId);
    return id;
  };
  const becomes = (id: string, health: Health, freshness = 'live'): Promise<void> =>
    until(
      () => {
        const last = room.last(id);
        return last?.health === health && last.freshness === freshness;
      },
      () => `${health}, ${freshness}; it is ${JSON.stringify(room.last(id))}`,
    );
  const historyOf = async (id: string): Promise<string[]> =>
    (await room.history.page(SYSTEM_SCOPE, id, {}, 300)).map(({ health, reason }) => `${health} ${reason ?? '-'}`);

  describe('statuses', () => {
    it('stores what is seen, then tells it, with versions that grow', async () => {
      const id = await apply(source.add('ConfigMap', 'shop', 'settings'));
      await becomes(id, 'healthy');
      const resource = room.last(id) as Resource;
      expect(resource).toMatchObject({ health: 'healthy', previous: 'pending', freshness: 'live', uid: 'uid-1' });
      expect(await stored(id)).toEqual(resource);
      const versions = room.told.filter((each) => each.id === id).map(({ version }) => version);
      expect(versions).toEqual(versions.toSorted((a, b) => a - b));
      expect(new Set(versions).size).toBe(versions.length);
    });

    it('says nothing of an object before we have applied it', async () => {
      source.add('ConfigMap', 'shop', 'theirs');
      const workflowId = newId();
      const node = { tenantId: 'default', workflowId, nodeId: 'n', clusterId, kind: 'ConfigMap', namespace: 'shop' };
      const { id } = await room.service.track({ ...node, name: 'theirs' });
      await becomes(id, 'pending');
      expect(room.last(id)).toMatchObject({ uid: null, reason: null });
    });

    it('rolls pods up to their Deployment through its ReplicaSet, in whatever order they come', async () => {
      const deployment = source.add('Deployment', 'shop', 'web', runningDeployment(1));
      const replicaSet = source.add('ReplicaSet', 'shop', 'web-1', {
        ...APPS_V1,
        metadata: ownedBy(deployment),
        spec: { replicas: 1 },
      });
      const pod = source.add('Pod', 'shop', 'web-1-x', { metadata: ownedBy(replicaSet), ...runningPod() });
      const id = await apply(deployment);
      await becomes(id, 'healthy');
      expect(room.last(id)?.children).not.toHaveLength(0);

      source.modify(pod, crashingPod());
      source.modify(deployment, runningDeployment(0));
      await becomes(id, 'degraded');
      expect(room.last(id)?.message).toContain('web-1-x');
    });

    it('evaluates again when time alone changes the answer', async () => {
      const deployment = source.add('Deployment', 'shop', 'web', runningDeployment(1));
      const id = await apply(deployment);
      await becomes(id, 'healthy');
      source.modify(deployment, {
        metadata: { deletionTimestamp: new Date(clock.now()).toISOString(), finalizers: ['x/y'] },
      });
      await becomes(id, 'terminating');
      const before = room.told.length;
      await clock.advance(6 * 60_000);
      await until(() => room.told.slice(before).some((each) => each.id === id && (each.message ?? '').includes('x/y')));
    });

    it('tells an object that went without us as missing, and one that we deleted as deleted', async () => {
      const workflowId = newId();
      const [ours, lost] = ['ours', 'lost'].map((name) => source.add('ConfigMap', 'shop', name)) as [
        FakeObject,
        FakeObject,
      ];
      const [oursId, lostId] = [await apply(ours, workflowId), await apply(lost, workflowId)];
      await becomes(oursId, 'healthy');
      await becomes(lostId, 'healthy');
      await room.service.expectDeletion(workflowId, 'configmap-ours', ours.metadata.uid);
      source.remove(ours);
      source.remove(lost);
      await becomes(oursId, 'deleted');
      await becomes(lostId, 'missing');
      expect(room.last(lostId)).toMatchObject({ uid: null, previous: 'healthy' });
      expect(await room.service.healthOf([workflowId])).toMatchObject(
        new Map([[workflowId, { health: 'missing', counts: { missing: 1, deleted: 1 } }]]),
      );
    });

    it('tells an object that somebody else put in its place as recreated', async () => {
      const object = source.add('ConfigMap', 'shop', 'settings');
      const id = await apply(object);
      await becomes(id, 'healthy');
      source.remove(object);
      await becomes(id, 'missing');
      const other = source.add('ConfigMap', 'shop', 'settings');
      await becomes(id, 'healthy');
      expect(room.last(id)?.uid).toBe(other.metadata.uid);
      await until(async () => (await historyOf(id)).length === 3);
      expect(await historyOf(id)).toEqual(['healthy Recreated', 'missing Missing', 'healthy -']);
    });

    it('keeps a Job completed after its TTL has removed it', async () => {
      const job = source.add('Job', 'shop', 'migrate', {
        spec: { ttlSecondsAfterFinished: 1 },
        status: { succeeded: 1, conditions: [{ type: 'Complete', status: 'True' }] },
      });
      const id = await apply(job);
      await becomes(id, 'completed');
      source.remove(job);
      await until(() => room.last(id)?.uid === null);
      expect(room.last(id)?.health).toBe('completed');
    });

    it('counts nothing that was seen before the last apply', async () => {
      const object = source.add('ConfigMap', 'shop', 'settings');
      const id = await apply(object);
      await becomes(id, 'healthy');
      const newer = { uid: 'uid-of-a-later-object', resourceVersion: '900', generation: null };
      await room.service.applied(id, newer);
      await becomes(id, 'pending');
      source.modify(object);
      source.remove(object);
      await until(() => room.clusters.get(clusterId)?.index.get('ConfigMap', 'shop', 'settings') === undefined);
      expect((await stored(id)).health).toBe('pending');
    });
  });

  describe('freshness', () => {
    it('never tells healthy from stale data, and tells it again when the cluster is back', async () => {
      const id = await apply(source.add('ConfigMap', 'shop', 'settings'));
      await becomes(id, 'healthy');
      const { version } = room.last(id) as Resource;
      source.refuse();
      await clock.advance(1_500);
      await becomes(id, 'unknown', 'stale');
      expect(room.last(id)).toMatchObject({ reason: 'Stale', previous: 'healthy' });
      expect(room.last(id)?.message).toContain('last known: healthy since 2026-01-01T00:00:00.000Z');
      source.accept();
      await clock.advance(10_000);
      await becomes(id, 'healthy');
      expect(room.last(id)?.version).toBeGreaterThan(version);
    });

    it('is syncing after a restart until the cluster was listed, and then right', async () => {
      const [kept, removed] = ['kept', 'removed'].map((name) => source.add('ConfigMap', 'shop', name)) as [
        FakeObject,
        FakeObject,
      ];
      const [keptId, removedId] = [await apply(kept), await apply(removed)];
      await becomes(keptId, 'healthy');
      await becomes(removedId, 'healthy');
      await room.stop();

      source.remove(removed);
      source.refuse();
      await room.resources.distrustAll(SYSTEM_SCOPE, new Date(clock.now()));
      room = await new WatcherRoom(database.connection, played).start();
      expect(await stored(keptId)).toMatchObject({ health: 'unknown', freshness: 'syncing', reason: 'Stale' });
      source.accept();
      await clock.advance(10_000);
      await becomes(keptId, 'healthy');
      await becomes(removedId, 'missing');
    });

    it('concerns only the kind that the rights do not let us see', async () => {
      source.forbid('Secret', 'shop');
      const secretId = await apply(source.add('Secret', 'shop', 'hidden'));
      const mapId = await apply(source.add('ConfigMap', 'shop', 'seen'));
      await becomes(mapId, 'healthy');
      await until(() => room.last(secretId)?.freshness === 'stale');
      const errors = room.manager.watches().map(({ kind, state, error }) => [kind, state, error?.namespace ?? null]);
      expect(errors).toEqual(
        expect.arrayContaining([
          ['Secret', 'forbidden', 'shop'],
          ['ConfigMap', 'watching', null],
        ]),
      );
    });

    it('judges a Service by itself where pods may not be seen', async () => {
      source.forbid('Pod', 'shop');
      const service = source.add('Service', 'shop', 'web', {
        spec: { type: 'ClusterIP', clusterIP: '10.0.0.1', selector: { app: 'web' } },
      });
      await becomes(await apply(service), 'healthy');
    });

    it('says nothing of a resource before all that its status is read from was listed', async () => {
      source.add('Pod', 'shop', 'web-1', { ...runningPod(), metadata: { labels: { app: 'web' } } });
      const list = source.list.bind(source);
      const released = Promise.withResolvers<void>();
      source.list = async (target, options) => {
        if (target.kind.kind === 'Pod') await released.promise;
        return list(target, options);
      };
      const id = await apply(
        source.add('Service', 'shop', 'web', {
          spec: { type: 'ClusterIP', clusterIP: '10.0.0.1', selector: { app: 'web' } },
        }),
      );
      await until(() => room.manager.watches().some(({ kind, state }) => kind === 'Service' && state === 'watching'));
      await clock.advance(5_000);
      expect(room.last(id)).toMatchObject({ health: 'pending', freshness: 'syncing' });
      released.resolve();
      await becomes(id, 'healthy');
      expect(room.told.filter((each) => each.id === id).map(({ health }) => health)).not.toContain('progressing');
    });

    it('finds every resource that an outage made stale by one filter', async () => {
      const ids = await Promise.all([1, 2, 3].map((n) => apply(source.add('ConfigMap', 'shop', `m-${n}`))));
      for (const id of ids) await becomes(id, 'healthy');
      source.refuse();
      await clock.advance(1_500);
      for (const id of ids) await becomes(id, 'unknown', 'stale');
      const unknown = await room.resources.page(SYSTEM_SCOPE, { health: ['unknown'] }, {}, 10);
      expect(unknown.map(({ _id }) => _id.toString()).toSorted()).toEqual(ids.toSorted());
      expect(await room.resources.page(SYSTEM_SCOPE, { health: ['healthy'] }, {}, 10)).toEqual([]);
      source.accept();
      await clock.advance(10_000);
      for (const id of ids) await becomes(id, 'healthy');
    });
  });

  describe('waiting', () => {
    it('resolves for an object that an apply left unchanged', async () => {
      const object = source.add('ConfigMap', 'shop', 'settings');
      const id = await apply(object);
      await becomes(id, 'healthy');
      const { uid } = object.metadata;
      const later = source.modify(object);
      await room.service.applied(id, { ...later.metadata, generation: null });
      const healthy = await room.service.waitForHealth(
        id,
        { uid, resourceVersion: later.metadata.resourceVersion },
        never(),
      );
      expect(healthy).toMatchObject({ id, health: 'healthy' });
    });

    it('does not take the health from before the apply', async () => {
      const deployment = source.add('Deployment', 'shop', 'web', runningDeployment(1));
      const id = await apply(deployment);
      await becomes(id, 'healthy');
      source.refuse();
      const next = source.modify(deployment, { metadata: { generation: 2 } });
      await room.service.applied(id, { ...next.metadata, generation: 2 });
      let answer: Resource | undefined;
      const waiting = room.service.waitForHealth(id, next.metadata, never()).then((resource) => (answer = resource));
      await clock.advance(1_500);
      await becomes(id, 'unknown', 'stale');
      expect(answer).toBeUndefined();
      source.accept();
      await clock.advance(10_000);
      await becomes(id, 'progressing');
      expect(answer).toBeUndefined();
      source.modify(next, { ...runningDeployment(1, 2), metadata: { generation: 2 } });
      await waiting;
      expect(answer).toMatchObject({ health: 'healthy' });
    });

    it("rejects with the signal's reason", async () => {
      const id = await apply(source.add('Job', 'shop', 'slow', { status: { active: 1 } }));
      const abort = new AbortController();
      const waiting = room.service.waitForHealth(id, { uid: 'uid-1', resourceVersion: '1' }, abort.signal);
      const reason = new StopReason('test');
      abort.abort(reason);
      await expect(waiting).rejects.toBe(reason);
    });

    it('tells when an object is gone, also when another one has its name already', async () => {
      const object = source.add('ConfigMap', 'shop', 'settings');
      const workflowId = newId();
      const id = await apply(object, workflowId);
      await becomes(id, 'healthy');
      await room.service.expectDeletion(workflowId, 'configmap-settings', object.metadata.uid);
      const gone = room.service.waitForGone(id, object.metadata.uid, never());
      source.refuse();
      source.remove(object);
      source.add('ConfigMap', 'shop', 'settings');
      source.accept();
      await clock.advance(10_000);
      expect(await gone).toMatchObject({ health: 'deleted', uid: null });
    });
  });

  describe('what runs', () => {
    const running = (): string[] =>
      room.manager
        .watches()
        .map(({ kind, namespace }) => `${kind}/${namespace ?? '*'}`)
        .toSorted();

    it('is one watch for each kind and namespace, whatever the number of workflows', async () => {
      const maps = Array.from({ length: 20 }, (_, n) => source.add('ConfigMap', 'shop', `m-${n}`));
      const ids = await Promise.all(maps.map((each) => apply(each)));
      for (const id of ids) await becomes(id, 'healthy');
      expect(running()).toEqual(['ConfigMap/shop']);
      expect(source.countCalls('watch')).toBe(1);
      await apply(source.add('Deployment', 'shop', 'web', runningDeployment(1)));
      await until(() => running().length === 4);
      expect(running()).toEqual(['ConfigMap/shop', 'Deployment/shop', 'Pod/shop', 'ReplicaSet/shop']);
    });

    it('becomes one watch of the cluster from 6 namespaces on, without becoming stale in between', async () => {
      const namespaces = Array.from({ length: 6 }, (_, n) => `ns-${n}`);
      const ids: string[] = [];
      for (const namespace of namespaces.slice(0, 5)) ids.push(await apply(source.add('ConfigMap', namespace, 'm')));
      for (const id of ids) await becomes(id, 'healthy');
      expect(running()).toEqual(namespaces.slice(0, 5).map((namespace) => `ConfigMap/${namespace}`));
      const before = room.told.length;
      source.add('ConfigMap', 'unrelated', 'm');
      const last = await apply(source.add('ConfigMap', 'ns-5', 'm'));
      await becomes(last, 'healthy');
      await until(() => running().length === 1);
      expect(running()).toEqual(['ConfigMap/*']);
      expect(room.told.slice(before).filter(({ id }) => ids.includes(id))).toEqual([]);
      expect(room.clusters.get(clusterId)?.index.size).toBe(6);
    });

    it('goes back to one watch for each namespace where the rights refuse the whole cluster', async () => {
      source.forbid('ConfigMap', null);
      const ids: string[] = [];
      for (let n = 0; n < 7; n += 1) ids.push(await apply(source.add('ConfigMap', `ns-${n}`, 'm')));
      for (const id of ids) await becomes(id, 'healthy');
      await until(() => running().length === 7);
      expect(running()).not.toContain('ConfigMap/*');
    });

    it('never watches the whole of a cluster that is limited to namespaces', async () => {
      const names = Array.from({ length: 8 }, (_, n) => `ns-${n}`);
      const limited = played.create(names);
      for (const namespace of names) await apply(limited.source.add('ConfigMap', namespace, 'm'), newId(), limited.id);
      await until(() => running().length === 8);
      expect(running()).not.toContain('ConfigMap/*');
    });

    it('ends with the workflow, whose resources stay as records', async () => {
      const workflowId = newId();
      const id = await apply(source.add('ConfigMap', 'shop', 'settings'), workflowId);
      await becomes(id, 'healthy');
      await room.service.untrack(workflowId);
      await until(() => source.openWatches === 0);
      expect(running()).toEqual([]);
      expect(await stored(id)).toMatchObject({ health: 'unknown', freshness: 'stale' });
      const removed: string[] = [];
      const subscription = room.bus.subscribe('removals', ['resource.removed'], ({ payload }) => {
        removed.push(payload.resourceId);
      });
      await room.service.forget(workflowId);
      await until(() => removed.length > 0);
      subscription.unsubscribe();
      expect(removed).toEqual([id]);
      expect(await room.service.ofWorkflow(workflowId)).toEqual([]);
      expect(await historyOf(id)).toEqual([]);
    });

    it('ends for a cluster that is no longer registered', async () => {
      const id = await apply(source.add('ConfigMap', 'shop', 'settings'));
      await becomes(id, 'healthy');
      played.limits.delete(clusterId);
      room.bus.publish('cluster.changed', {
        clusterId,
        tenantId: 'default',
        name: 'c',
        change: 'deleted',
        health: null,
        sequence: 1,
      });
      await becomes(id, 'unknown', 'stale');
      expect(running()).toEqual([]);
    });
  });

  it('keeps the newest entries of a history and no more', async () => {
    await room.stop();
    room = await new WatcherRoom(database.connection, played, { historyPerResource: 3 }).start();
    const workflowId = newId();
    let object = source.add('ConfigMap', 'shop', 'settings');
    const id = await apply(object, workflowId);
    for (let n = 0; n < 4; n += 1) {
      await becomes(id, 'healthy');
      source.remove(object);
      await becomes(id, 'missing');
      await clock.advance(1_000);
      object = source.add('ConfigMap', 'shop', 'settings');
    }
    await becomes(id, 'healthy');
    await until(async () => (await historyOf(id)).join() === 'healthy Recreated,missing Missing,healthy Recreated');
  });
});

function never(): AbortSignal {
  return new AbortController().signal;
}

function ownedBy(owner: FakeObject): Record<string, unknown> {
  const { name, uid } = owner.metadata;
  return { ownerReferences: [{ apiVersion: 'apps/v1', kind: owner.kind, name, uid, controller: true }] };
}

function runningDeployment(available: number, observedGeneration = 1): Record<string, unknown> {
  const isUp = available > 0 ? 'True' : 'False';
  return {
    ...APPS_V1,
    metadata: { generation: 1 },
    spec: { replicas: 1 },
    status: {
      observedGeneration,
      replicas: 1,
      updatedReplicas: 1,
      readyReplicas: available,
      availableReplicas: available,
      unavailableReplicas: 1 - available,
      conditions: [
        { type: 'Available', status: isUp, reason: 'MinimumReplicas' },
        { type: 'Progressing', status: 'True', reason: 'NewReplicaSetAvailable' },
      ],
    },
  };
}

function runningPod(): Record<string, unknown> {
  return {
    spec: { restartPolicy: 'Always', containers: [{ name: 'main' }] },
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'True' }],
      containerStatuses: [{ name: 'main', ready: true, restartCount: 0, state: { running: {} } }],
    },
  };
}

function crashingPod(): Record<string, unknown> {
  return {
    status: {
      phase: 'Running',
      conditions: [{ type: 'Ready', status: 'False' }],
      containerStatuses: [
        {
          name: 'main',
          ready: false,
          restartCount: 4,
          state: { waiting: { reason: 'CrashLoopBackOff', message: 'back-off' } },
          lastState: { terminated: { exitCode: 1, reason: 'Error' } },
        },
      ],
    },
  };
}
