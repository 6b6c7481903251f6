import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import { FakeWatchSource } from '../../test/support/fake-watch-source.js';
import { ClusterWatches } from './cluster-watches.js';
import { type DesiredWatch, type DesiredWatchRules, type WatchedPlace, desiredWatches } from './desired-watches.js';
import { statusDependencies } from './status/extract-status.js';

const RULES: DesiredWatchRules = {
  dependencies: statusDependencies,
  limitOf: () => null,
  wideRefused: () => false,
  wideFrom: 3,
};
const CLUSTER = 'c';

function watchesOn(clock: FakeClock, source: FakeWatchSource, onChange: () => void = () => undefined): ClusterWatches {
  return new ClusterWatches({
    source,
    clock,
    random: { float: () => 0.5, bytes: (length) => Buffer.alloc(length), uuid: () => '' },
    timing: {
      backoffBaseMs: 5_000,
      backoffMaxMs: 60_000,
      backoffResetMs: 120_000,
      firstRetryMs: 1_000,
      forbiddenRetryMaxMs: 300_000,
      listPageSize: 500,
      watchTimeoutMs: 300_000,
    },
    probePeriodMs: 2_000,
    listsInFlight: 4,
    listener: { touched: () => undefined, listed: () => undefined, statusChanged: onChange },
  });
}

const keysOf = (watches: Iterable<{ kind: string; namespace: string | null }>): string[] =>
  [...watches].map(({ kind, namespace }) => `${kind}/${namespace ?? '*'}`).toSorted();

describe('ClusterWatches', () => {
  it('runs what is desired whatever happened on the way, and nothing after its end', async () => {
    const place = fc.record<WatchedPlace>({
      clusterId: fc.constant(CLUSTER),
      kind: fc.constantFrom('ConfigMap', 'Deployment', 'Pod', 'Service'),
      namespace: fc.constantFrom('a', 'b', 'c', 'd'),
    });
    const step = fc.oneof(
      {
        weight: 3,
        arbitrary: fc.record({ type: fc.constant('desire' as const), places: fc.array(place, { maxLength: 12 }) }),
      },
      {
        weight: 3,
        arbitrary: fc.record({ type: fc.constant('wait' as const), ms: fc.integer({ min: 0, max: 90_000 }) }),
      },
      fc.record({
        type: fc.constantFrom('refuse' as const, 'accept' as const, 'cut' as const, 'expire' as const, 'end' as const),
      }),
      fc.record({ type: fc.constantFrom('add' as const), namespace: fc.constantFrom('a', 'b', 'c', 'd', 'e') }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 15 }), async (steps) => {
        const clock = new FakeClock();
        const source = new FakeWatchSource(clock);
        let desired: readonly DesiredWatch[] = [];
        const watches = watchesOn(clock, source, () => queueMicrotask(() => watches.reconcile(desired)));
        let added = 0;
        for (const each of steps) {
          if (each.type === 'desire') {
            desired = desiredWatches(each.places, RULES).get(CLUSTER) ?? [];
            watches.reconcile(desired);
          } else if (each.type === 'wait') await clock.advance(each.ms);
          else if (each.type === 'add') source.add('Pod', each.namespace, `pod-${(added += 1)}`);
          else if (each.type === 'end') source.endWatches();
          else source[each.type]();
        }
        source.accept();
        // The longest wait of a watch, and one more round to replace what it replaces.
        await clock.advance(130_000);
        expect(keysOf(watches.watches())).toEqual(keysOf(desired));
        expect(watches.watches().every(({ freshness }) => freshness === 'live')).toBe(true);
        const pods = desired.filter(({ kind }) => kind === 'Pod');
        const watched = new Set(pods.flatMap(({ namespaces }) => [...namespaces]));
        const seen = ['a', 'b', 'c', 'd', 'e'].flatMap((namespace) => [...watches.index.inNamespace('Pod', namespace)]);
        const there = await source.list(
          {
            kind: { kind: 'Pod', plural: 'pods', group: '', version: 'v1', aliases: [], metadataOnly: false },
            namespace: null,
          },
          { limit: 0, continueToken: null, signal: new AbortController().signal },
        );
        const expected = there.items
          .map((item) => (item as { metadata: { uid: string; namespace: string } }).metadata)
          .filter(({ namespace }) => watched.has(namespace));
        expect(seen.map(({ uid }) => uid).toSorted()).toEqual(expected.map(({ uid }) => uid).toSorted());

        await watches.stop();
        expect(source.openWatches).toBe(0);
        expect(clock.pendingTimers).toBe(0);
      }),
      { numRuns: 150 },
    );
  }, 120_000);

  it('lets at most four lists run at one time', async () => {
    const clock = new FakeClock();
    const source = new FakeWatchSource(clock);
    const list = source.list.bind(source);
    let running = 0;
    let most = 0;
    source.list = async (...args) => {
      running += 1;
      most = Math.max(most, running);
      await clock.sleep(100);
      running -= 1;
      return list(...args);
    };
    const watches = watchesOn(clock, source);
    const kinds = ['ConfigMap', 'Deployment', 'Pod', 'Service', 'Job', 'CronJob', 'Ingress', 'Secret', 'ReplicaSet'];
    watches.reconcile(kinds.map((kind) => ({ kind, namespace: 'shop', namespaces: new Set(['shop']) })));
    await clock.advance(1_000);
    expect(most).toBe(4);
    expect(watches.watches().every(({ state }) => state === 'watching')).toBe(true);
    await watches.stop();
  });

  it('probes a cluster that is down once for all of its watches', async () => {
    const clock = new FakeClock();
    const source = new FakeWatchSource(clock);
    const watches = watchesOn(clock, source);
    const kinds = ['ConfigMap', 'Deployment', 'Pod', 'Service', 'Job', 'CronJob', 'Ingress', 'Secret', 'ReplicaSet'];
    watches.reconcile(kinds.map((kind) => ({ kind, namespace: 'shop', namespaces: new Set(['shop']) })));
    await settle();
    source.refuse();
    await clock.advance(60_000);
    expect(source.countCalls('probe')).toBeLessThanOrEqual(30);
    expect(source.countCalls('probe')).toBeGreaterThan(20);
    source.accept();
    await clock.advance(2_500);
    expect(watches.watches().map(({ freshness }) => freshness)).toEqual(kinds.map(() => 'live'));
    await watches.stop();
    expect(clock.pendingTimers).toBe(0);
  });
});
