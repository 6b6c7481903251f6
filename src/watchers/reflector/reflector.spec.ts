import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { type FakeObject, FakeWatchSource } from '../../../test/support/fake-watch-source.js';
import { KubernetesApiError, findKind } from '../../kubernetes/index.js';
import type { Random } from '../../runtime/random.js';
import { ClusterRecovery } from './cluster-recovery.js';
import { ListGate } from './list-gate.js';
import { ObjectIndex } from './object-index.js';
import { Reflector, type ReflectorTiming } from './reflector.js';
import type { ReflectorStatus } from './reflector-status.js';
import { type SlimObject, slimObject } from '../status/slim-object.js';

const TIMING: ReflectorTiming = {
  backoffBaseMs: 5_000,
  backoffMaxMs: 60_000,
  backoffResetMs: 120_000,
  firstRetryMs: 1_000,
  forbiddenRetryMaxMs: 300_000,
  listPageSize: 2,
  watchTimeoutMs: 300_000,
};

/** Draws the middle, so that delays are known: 0.5 s first, then 3.75, 7.5, 15, 30, 45 s. */
const middle: Random = {
  float: () => 0.5,
  bytes: (length) => Buffer.alloc(length),
  uuid: () => '00000000-0000-4000-8000-000000000000',
};

const NOT_DECODABLE = { type: 'ADDED', object: { kind: 'Pod', metadata: { name: 'half' } } } as const;

describe('Reflector', () => {
  let clock: FakeClock;
  let source: FakeWatchSource;
  let index: ObjectIndex<SlimObject>;
  let reflector: Reflector<SlimObject>;
  let recovery: ClusterRecovery;
  let statuses: ReflectorStatus[];
  let lists: number;

  const seen = (): string[] =>
    [...index.inNamespace('Pod', 'shop')].map(({ name, uid }) => `${name}:${uid}`).toSorted();
  const stored = (...objects: FakeObject[]): string[] =>
    objects.map(({ metadata }) => `${metadata.name}:${metadata.uid}`).toSorted();
  const status = (): ReflectorStatus => reflector.status;

  beforeEach(() => {
    clock = new FakeClock();
    source = new FakeWatchSource(clock);
    index = new ObjectIndex();
    statuses = [];
    lists = 0;
    recovery = new ClusterRecovery({ clock, probePeriodMs: 2_000, probe: (signal) => source.probe(signal) });
    const kind = findKind('Pod');
    if (!kind) throw new Error('Pod is a known kind');
    reflector = new Reflector<SlimObject>({
      target: { kind, namespace: 'shop' },
      source,
      clock,
      random: middle,
      listGate: new ListGate(4),
      recovery,
      timing: TIMING,
      reduce: (object) => slimObject('Pod', object),
      sink: {
        listed: (objects) => {
          lists += 1;
          index.replace('Pod', (namespace) => namespace === 'shop', objects);
        },
        changed: (object) => void index.put(object),
        removed: (object) => void index.remove(object),
        statusChanged: () => statuses.push(reflector.status),
      },
    });
  });

  afterEach(async () => {
    await reflector.stop();
    await recovery.stop();
    expect(source.openWatches).toBe(0);
    expect(clock.pendingTimers).toBe(0);
  });

  async function begin(): Promise<void> {
    reflector.start();
    await settle();
  }

  describe('in good times', () => {
    it('lists page by page, then follows from the version of the list', async () => {
      const pods = [1, 2, 3, 4, 5].map((n) => source.add('Pod', 'shop', `pod-${n}`));
      source.add('Pod', 'other', 'not-ours');
      const version = source.resourceVersion;
      await begin();
      expect(seen()).toEqual(stored(...pods));
      expect(source.calls).toEqual([
        'list pods/shop',
        'list pods/shop',
        'list pods/shop',
        `watch pods/shop@${version}`,
      ]);
      expect(status()).toMatchObject({ state: 'watching', freshness: 'live', restarts: 0, error: null });

      const late = source.add('Pod', 'shop', 'late');
      source.remove(pods[0] as FakeObject);
      await settle();
      expect(seen()).toEqual(stored(late, ...pods.slice(1)));
    });

    it('is syncing until the watch stands, then live', async () => {
      expect(status().freshness).toBe('syncing');
      await begin();
      expect(statuses.map(({ freshness }) => freshness)).toEqual(['live']);
    });

    it('watches again at once, from the last event, when the server ends the watch', async () => {
      await begin();
      source.add('Pod', 'shop', 'a');
      await clock.advance(2_000);
      source.endWatches();
      await settle();
      expect(source.calls.at(-1)).toBe(`watch pods/shop@${source.resourceVersion}`);
      expect(source.countCalls('list')).toBe(1);
      expect(status()).toMatchObject({ freshness: 'live', restarts: 0 });
    });

    it('goes on from a bookmark when its own kind was quiet', async () => {
      await begin();
      for (let n = 0; n < 3; n += 1) source.add('ConfigMap', 'shop', `other-${n}`);
      source.bookmark();
      await clock.advance(2_000);
      source.expire();
      source.endWatches();
      await settle();
      expect(source.countCalls('list')).toBe(1);
      expect(status().state).toBe('watching');
    });

    it('asks for a lifetime between the configured one and twice that', async () => {
      await begin();
      const before = source.countCalls('watch');
      await clock.advance(449_000);
      expect(source.countCalls('watch')).toBe(before);
      await clock.advance(2_000);
      expect(source.countCalls('watch')).toBe(before + 1);
      expect(status().freshness).toBe('live');
    });
  });

  describe('when the connection breaks', () => {
    it('stays live and is back within a second, without a list and without a gap', async () => {
      await begin();
      source.cut();
      const missed = source.add('Pod', 'shop', 'missed');
      await clock.advance(999);
      expect(seen()).toEqual(stored(missed));
      expect(source.countCalls('list')).toBe(1);
      expect(statuses.map(({ freshness }) => freshness)).not.toContain('stale');
    });

    it('is stale once the first retry has failed, and says why', async () => {
      await begin();
      await clock.advance(20_000);
      source.refuse();
      await settle();
      expect(status()).toMatchObject({ state: 'waiting', freshness: 'live' });
      await clock.advance(1_000);
      expect(status()).toMatchObject({
        state: 'waiting',
        freshness: 'stale',
        error: { verb: 'watch', resource: 'pods', namespace: 'shop' },
      });
    });

    it('forgives a failed re-open after a watch that the server ended in time', async () => {
      await begin();
      source.refuse();
      await clock.advance(30_000);
      source.accept();
      await clock.advance(60_000);
      source.endWatches();
      await clock.advance(60_000);
      expect(status()).toMatchObject({ state: 'watching', freshness: 'live' });
      source.failNext('watch', new KubernetesApiError('cut', 'the connection broke'));
      source.endWatches();
      await settle();
      expect(status()).toMatchObject({ state: 'waiting', freshness: 'live' });
      await clock.advance(999);
      expect(status()).toMatchObject({ state: 'watching', freshness: 'live' });
    });

    it('is live again only after a resumed watch has had time to bring what was missed', async () => {
      await begin();
      source.refuse();
      await clock.advance(1_000);
      source.accept();
      await clock.advance(2_000);
      expect(status()).toMatchObject({ state: 'watching', freshness: 'live' });
      expect(source.countCalls('list')).toBe(1);
      const changes = statuses.map(({ state, freshness }) => `${state} ${freshness}`);
      expect(changes.slice(-2)).toEqual(['watching stale', 'watching live']);
    });

    it('probes the cluster every 2 s with one cheap call, and follows the first answer', async () => {
      await begin();
      source.refuse();
      await clock.advance(1_000);
      const watches = source.countCalls('watch');
      await clock.advance(3_700);
      expect(source.countCalls('probe')).toBe(1);
      source.accept();
      const missed = source.add('Pod', 'shop', 'missed');
      await clock.advance(1_900);
      expect(source.countCalls('watch')).toBeGreaterThan(watches);
      expect(seen()).toEqual(stored(missed));
      expect(status()).toMatchObject({ state: 'watching', freshness: 'live', error: null });
      await clock.advance(10_000);
      expect(source.countCalls('probe')).toBeLessThanOrEqual(2);
    });

    it('backs off exponentially to the maximum while the cluster is away', async () => {
      await begin();
      source.refuse();
      await clock.advance(1_000);
      const attempts: number[] = [];
      let last = source.countCalls('watch');
      for (let second = 0; second < 240; second += 1) {
        await clock.advance(1_000);
        const now = source.countCalls('watch');
        if (now > last) attempts.push(second);
        last = now;
      }
      const gaps = attempts.slice(1).map((at, i) => at - (attempts[i] ?? 0));
      expect(gaps).toEqual([7, 15, 30, 45, 45, 45, 45]);
    });

    it('does not hammer a server that answers probes and refuses watches', async () => {
      await begin();
      source.failNext('watch', new KubernetesApiError('cut', 'refused by a proxy'));
      for (let n = 0; n < 200; n += 1) source.failNext('watch', new KubernetesApiError('cut', 'refused by a proxy'));
      source.cut();
      await clock.advance(600_000);
      expect(source.countCalls('watch')).toBeLessThan(40);
    });

    it.each([
      ['remembers failures for less than two minutes of health', 60_000, 15_000],
      ['forgets failures after two minutes of health', 121_000, 3_750],
    ])('%s', async (_what, healthMs, nextDelayMs) => {
      const refused = (): KubernetesApiError => new KubernetesApiError('server', 'etcd is away', { status: 500 });
      await begin();
      await clock.advance(2_000);
      // One quick retry, then waits of 3.75 s and 7.5 s.
      for (let n = 0; n < 2; n += 1) source.failNext('list', refused());
      source.inject({ type: 'ERROR', error: refused() });
      await clock.advance(500 + 3_750 + 7_500);
      expect(status().state).toBe('watching');

      await clock.advance(healthMs);
      for (let n = 0; n < 2; n += 1) source.failNext('list', refused());
      source.inject({ type: 'ERROR', error: refused() });
      await clock.advance(500);
      const before = source.countCalls('list');
      await clock.advance(nextDelayMs - 10);
      expect(source.countCalls('list')).toBe(before);
      await clock.advance(20);
      expect(source.countCalls('list')).toBe(before + 1);
    });

    it('lists again when watches from one version are cut twice without a single event', async () => {
      await begin();
      source.cut();
      await clock.advance(1_000);
      source.cut();
      await clock.advance(10_000);
      expect(source.countCalls('list')).toBe(2);
    });
  });

  describe('when there is a gap', () => {
    it('finds what was deleted, added and recreated meanwhile by the next list', async () => {
      const [gone, kept, recreated] = ['gone', 'kept', 'recreated'].map((name) => source.add('Pod', 'shop', name));
      await begin();
      source.refuse();
      await clock.advance(1_000);
      source.remove(gone as FakeObject);
      source.remove(recreated as FakeObject);
      const again = source.add('Pod', 'shop', 'recreated');
      const added = source.add('Pod', 'shop', 'added');
      source.expire();
      source.accept();
      await clock.advance(30_000);
      expect(seen()).toEqual(stored(kept as FakeObject, again, added));
      expect(index.ofUid((recreated as FakeObject).metadata.uid)).toBeUndefined();
      expect(status()).toMatchObject({ state: 'watching', freshness: 'live' });
    });

    it.each([
      ['410 on a watch', new KubernetesApiError('gone', 'too old', { status: 410 })],
      ['an internal error', new KubernetesApiError('server', 'boom', { status: 500 })],
      [
        'a version that the server has not reached',
        new KubernetesApiError('timeout', 'Timeout: Too large resource version: 999', { status: 504 }),
      ],
    ])('lists again after an ERROR event with %s', async (_what, error) => {
      await begin();
      const missed = source.add('Pod', 'shop', 'a');
      source.inject({ type: 'ERROR', error });
      await clock.advance(1_000);
      expect(source.countCalls('list')).toBe(2);
      expect(lists).toBe(2);
      expect(seen()).toEqual(stored(missed));
      expect(status().state).toBe('watching');
    });

    it('lists again instead of skipping an object that it cannot read', async () => {
      await begin();
      source.inject(NOT_DECODABLE);
      await clock.advance(1_000);
      expect(source.countCalls('list')).toBe(2);
      expect(status().state).toBe('watching');
    });

    it('lists again, ever more slowly, when the server ends watches at once', async () => {
      reflector.start();
      for (let n = 0; n < 2_000; n += 1) {
        await clock.advance(50);
        source.endWatches();
      }
      expect(source.countCalls('list')).toBeGreaterThan(2);
      expect(source.countCalls('watch')).toBeLessThan(12);
    });

    it('takes one unpaged list when the token of a paged one expires', async () => {
      const pods = [1, 2, 3, 4].map((n) => source.add('Pod', 'shop', `pod-${n}`));
      const list = source.list.bind(source);
      const limits: number[] = [];
      source.list = (target, options) => {
        limits.push(options.limit);
        return options.continueToken === null
          ? list(target, options)
          : Promise.reject(new KubernetesApiError('gone', 'the token has expired', { status: 410 }));
      };
      await begin();
      expect(limits).toEqual([2, 2, 0]);
      expect(seen()).toEqual(stored(...pods));
    });

    it('believes a list whose versions went back', async () => {
      const pod = source.add('Pod', 'shop', 'a');
      await begin();
      source.modify(pod);
      await settle();
      source.travelBackTo(50);
      await clock.advance(10_000);
      const after = source.add('Pod', 'shop', 'after-restore');
      await clock.advance(10_000);
      expect(seen()).toEqual(expect.arrayContaining(stored(after)));
    });
  });

  describe('when the server says no', () => {
    it('waits as long as 429 asks, and does not list again', async () => {
      await begin();
      await clock.advance(2_000);
      source.failNext('watch', new KubernetesApiError('too-many-requests', 'slow down', { retryAfterMs: 90_000 }));
      source.endWatches();
      await clock.advance(89_000);
      expect(status()).toMatchObject({ state: 'waiting', freshness: 'stale' });
      const before = source.countCalls('watch');
      await clock.advance(2_000);
      expect(source.countCalls('watch')).toBe(before + 1);
      expect(source.countCalls('list')).toBe(1);
      expect(status()).toMatchObject({ state: 'watching', freshness: 'live' });
    });

    it('tells a 403 with verb, resource and namespace, and asks again ever more slowly', async () => {
      source.forbid('Pod', 'shop');
      await begin();
      expect(status()).toMatchObject({
        state: 'forbidden',
        freshness: 'stale',
        error: { verb: 'list', resource: 'pods', namespace: 'shop' },
      });
      await clock.advance(3_600_000);
      expect(source.countCalls('list')).toBeLessThan(25);
      expect(source.countCalls('probe')).toBe(0);
      source.allow('Pod', 'shop');
      await clock.advance(300_000);
      expect(status()).toMatchObject({ state: 'watching', freshness: 'live', error: null });
    });

    it('does not hammer with a refused credential, and tries at once when told that it has changed', async () => {
      for (let n = 0; n < 100; n += 1) source.failNext('list', new KubernetesApiError('unauthorized', 'who?'));
      await begin();
      expect(status().state).toBe('unauthorized');
      await clock.advance(600_000);
      expect(source.countCalls('list')).toBeLessThan(20);
      const before = source.countCalls('list');
      reflector.retryNow();
      await settle();
      expect(source.countCalls('list')).toBe(before + 1);
    });
  });

  describe('stop', () => {
    it.each([
      ['while it lists', async () => undefined],
      ['while it watches', async () => settle()],
      [
        'while it waits',
        async () => {
          source.refuse();
          await clock.advance(3_000);
        },
      ],
    ])('leaves nothing behind %s', async (_when, reach) => {
      reflector.start();
      await reach();
      await reflector.stop();
      await recovery.stop();
      expect(status().state).toBe('stopped');
      expect(source.openWatches).toBe(0);
      expect(clock.pendingTimers).toBe(0);
      const calls = source.calls.length;
      await clock.advance(600_000);
      expect(source.calls).toHaveLength(calls);
    });
  });
});
