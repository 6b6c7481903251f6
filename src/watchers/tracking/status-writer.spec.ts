import '../../../test/support/quiet-logger.js';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { Connection } from 'mongoose';
import { FakeClock } from '../../../test/support/fake-clock.js';
import type { FakeWatchSource } from '../../../test/support/fake-watch-source.js';
import { type TestDatabase, openTestDatabase } from '../../../test/support/test-database.js';
import { PlayedClusters, WatcherRoom, repositoryOn, until, untilLater } from '../../../test/support/watcher-room.js';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import type { ResourcesRepository } from './resources.repository.js';

/** Fails while `failing`: before the work, or after it, when only the answer is lost. */
interface Faults {
  failing: 'not' | 'before' | 'after';
  failed: number;
  /** Statuses alone fail. */
  spareFreshness?: boolean;
}

function flaky(connection: Connection, faults: Faults): ResourcesRepository {
  const real = repositoryOn(connection);
  const fail = <A extends unknown[], R>(work: (...args: A) => Promise<R>, spared = (): boolean => false) => {
    return async (...args: A): Promise<R> => {
      const failing = spared() ? 'not' : faults.failing;
      if (failing === 'before') {
        faults.failed += 1;
        throw new Error('the store is away');
      }
      const answer = await work(...args);
      if (failing !== 'after') return answer;
      faults.failed += 1;
      throw new Error('the connection to the store broke');
    };
  };
  real.update = fail(real.update.bind(real));
  real.setFreshness = fail(real.setFreshness.bind(real), () => faults.spareFreshness === true);
  return real;
}

describe('StatusWriter', () => {
  let database: TestDatabase;
  let clock: FakeClock;
  let room: WatcherRoom;
  let source: FakeWatchSource;
  let clusterId: string;
  let faults: Faults;

  beforeAll(async () => {
    database = await openTestDatabase();
  }, 30_000);
  afterAll(() => database.close());

  beforeEach(async () => {
    clock = new FakeClock();
    const played = new PlayedClusters(clock);
    ({ id: clusterId, source } = played.create());
    faults = { failing: 'not', failed: 0 };
    room = await new WatcherRoom(database.connection, played, {}, (connection) => flaky(connection, faults)).start();
  });
  afterEach(async () => {
    await room.stop();
    expect(clock.pendingTimers).toBe(0);
    expect(room.writer.pending).toBe(0);
  });

  const shown = (id: string): string => `${room.last(id)?.health} ${room.last(id)?.freshness}`;

  it.each(['before', 'after'] as const)(
    'keeps the latest state while the store fails %s the work, and loses neither it nor its history',
    async (failing) => {
      const { id } = await room.apply(source.add('ConfigMap', 'shop', `settings-${failing}`), { clusterId });
      await until(() => shown(id) === 'healthy live');
      const told = room.told.length;

      faults.failing = failing;
      const object = source.add('Pod', 'shop', 'noise');
      source.remove({
        ...object,
        kind: 'ConfigMap',
        metadata: { ...object.metadata, name: `settings-${failing}`, uid: room.last(id)?.uid ?? '' },
      });
      await until(() => faults.failed > 0);
      for (let n = 0; n < 3; n += 1) await clock.advance(5_000);
      // On a slow database the freshness changes meanwhile, too: that is told with a health that did not change.
      const toldMissing = (): number =>
        room.told.slice(told).filter(({ id: of, health, freshness }, at, all) => {
          const before = all.slice(0, at).findLast((each) => each.id === of);
          return health === 'missing' && (before?.health !== health || before.freshness === freshness);
        }).length;
      if (failing === 'before') {
        expect(toldMissing()).toBe(0);
        expect(room.writer.pending).toBe(1);
      }

      faults.failing = 'not';
      await untilLater(clock, () => shown(id) === 'missing live' && room.writer.pending === 0);
      expect(toldMissing()).toBe(1);
      const entries = await room.history.page(SYSTEM_SCOPE, id, {}, 10);
      expect(entries.map(({ health }) => health)).toEqual(['missing', 'healthy']);
    },
  );

  it.each(['before', 'after'] as const)('stores a freshness when the store fails %s the work', async (failing) => {
    const { id } = await room.apply(source.add('ConfigMap', 'shop', `fresh-${failing}`), { clusterId });
    await until(() => shown(id) === 'healthy live');
    faults.failing = failing;
    source.refuse();
    await untilLater(clock, () => faults.failed > 0);
    faults.failing = 'not';
    await untilLater(clock, () => shown(id) === 'unknown stale');
  });

  it('does not show an old status as live while the new one waits to be stored', async () => {
    const object = source.add('ConfigMap', 'shop', 'outdated');
    const others = source.add('ConfigMap', 'shop', 'same');
    const { id } = await room.apply(object, { clusterId });
    const { id: same } = await room.apply(others, { clusterId });
    await until(() => shown(id) === 'healthy live' && shown(same) === 'healthy live');
    source.refuse();
    await untilLater(clock, () => shown(id) === 'unknown stale' && shown(same) === 'unknown stale');
    const told = room.told.length;

    Object.assign(faults, { failing: 'before', spareFreshness: true });
    source.remove(object);
    source.accept();
    await untilLater(clock, () => shown(same) === 'healthy live');
    expect(shown(id)).toBe('unknown stale');
    faults.failing = 'not';
    await untilLater(clock, () => shown(id) === 'missing live');
    expect(
      room.told
        .slice(told)
        .filter((each) => each.id === id)
        .map(({ health }) => health),
    ).toEqual(['missing']);
  });

  it('holds one observation of each resource, however many come', async () => {
    const { id } = await room.apply(source.add('ConfigMap', 'shop', 'busy'), { clusterId });
    await until(() => shown(id) === 'healthy live');
    faults.failing = 'before';
    const resource = room.tracked.get(id);
    if (!resource) throw new Error('it is tracked');
    for (let n = 0; n < 10_000; n += 1) {
      const status = {
        health: 'degraded',
        rollout: null,
        reason: `R${n}`,
        message: null,
        details: {},
        children: [],
      } as const;
      room.writer.submit(resource, { uid: 'uid-1', status, resourceVersion: String(1_000 + n), listedSince: null });
    }
    await until(() => faults.failed > 0);
    expect(room.writer.pending).toBeLessThanOrEqual(2);
    faults.failing = 'not';
    await untilLater(clock, () => room.last(id)?.reason === 'R9999');
  });

  it('ends with the newest observation, whoever brought it and in whatever order', async () => {
    const rival = await new WatcherRoom(database.connection, new PlayedClusters(clock)).start();
    try {
      let round = 0;
      await fc.assert(
        fc.asyncProperty(
          fc.shuffledSubarray([1, 2, 3, 4, 5, 6, 7, 8], { minLength: 1 }),
          fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }),
          async (versions, byRival) => {
            round += 1;
            const name = `order-${round}`;
            const { id } = await room.service.track({
              tenantId: 'default',
              workflowId: clusterId,
              nodeId: name,
              clusterId,
              kind: 'Ingress',
              namespace: 'elsewhere',
              name,
            });
            await room.service.applied(id, { uid: 'u', resourceVersion: '100', generation: null });
            const document = await room.resources.find(SYSTEM_SCOPE, id);
            if (!document) throw new Error('it was tracked');
            const known = room.tracked.get(id);
            const theirs = rival.tracked.put(document);
            if (!known) throw new Error('it is tracked');
            versions.forEach((version, index) => {
              const status = {
                health: 'degraded',
                rollout: null,
                reason: `V${version}`,
                message: null,
                details: {},
                children: [],
              } as const;
              const observation = { uid: 'u', status, resourceVersion: String(100 + version), listedSince: null };
              if (byRival[index]) rival.writer.submit(theirs, observation);
              else room.writer.submit(known, observation);
            });
            await until(() => room.writer.pending + rival.writer.pending === 0);
            const after = await room.resources.find(SYSTEM_SCOPE, id);
            // Each writer keeps only the latest submitted to it: the newest of what reached the store wins.
            const lastOf = (rivals: boolean): number => versions.findLast((_, index) => byRival[index] === rivals) ?? 0;
            expect(Number(after?.observed?.resourceVersion) - 100).toBeGreaterThanOrEqual(
              Math.max(lastOf(true), lastOf(false)),
            );
            expect(after?.reason).toBe(`V${Number(after?.observed?.resourceVersion) - 100}`);
          },
        ),
        { numRuns: 40 },
      );
    } finally {
      await rival.stop();
    }
  }, 60_000);
});
