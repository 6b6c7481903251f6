import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { ADMIN, NEVER, PERIOD_MS, ScriptedReconciler, openControllers } from '../../test/support/controllers-room.js';
import { LeaseLost } from '../leader-election/index.js';
import { ReconcileTimeout } from './reconcile-round.js';

type Room = Awaited<ReturnType<typeof openControllers>>;
type Replica = Awaited<ReturnType<Room['addReplica']>>;

// Minutes of fake time, each command on a real store.
jest.setTimeout(30_000);

describe('ControllerManager', () => {
  let room: Room;
  beforeEach(async () => {
    room = await openControllers();
  });
  afterEach(() => room.close());

  const has = async ({ records }: Replica, time: 'startedAt' | 'lastSuccessAt' | 'nextRunAt'): Promise<boolean> =>
    ((await records.find('sweep'))?.[time] ?? null) !== null;
  const hang = (): Promise<never> => new Promise(() => undefined);
  /** Ends, by the reason, as soon as it is aborted: a reconciler that behaves. */
  const untilAborted = (signal: AbortSignal): Promise<never> =>
    new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason as Error)));

  describe('registering', () => {
    it('keeps names apart, and counts them', async () => {
      const { manager } = await room.addReplica(new ScriptedReconciler('b'), new ScriptedReconciler('a-2'));
      expect([manager.names, manager.count]).toEqual([['a-2', 'b'], 2]);
      expect(() => manager.register(new ScriptedReconciler('b'))).toThrow('two controllers called b');
      expect(() => manager.register(new ScriptedReconciler('Not A Name'))).toThrow('kebab-case');
      expect(() => manager.register(new ScriptedReconciler('c', undefined, { periodMs: 0 }))).toThrow('no period');
      expect(manager.count).toBe(2);
      await manager.start();
      expect(() => manager.register(new ScriptedReconciler('late'))).toThrow('after the start');
    });
  });

  describe('the rounds', () => {
    it('come at once where that is wanted, else within the first period by chance; then once in a period, ±10 %', async () => {
      const eager = new ScriptedReconciler('eager', undefined, {}, () => replica.clock.monotonic());
      const others = Array.from({ length: 8 }, (_, index) => {
        const options = { reconcileOnStart: false };
        return new ScriptedReconciler(`other-${index}`, undefined, options, () => replica.clock.monotonic());
      });
      const replica = await room.addReplica(eager, ...others);
      await replica.manager.start();
      await room.until(() => eager.rounds.length === 1);
      expect(eager.rounds[0]?.startedAt).toBeLessThan(1_000);
      await room.until(() => [eager, ...others].every(({ rounds }) => rounds.length >= 3), 250);
      const firsts = others.map(({ rounds }) => rounds[0]?.startedAt ?? 0);
      expect(Math.max(...firsts)).toBeLessThanOrEqual(PERIOD_MS + 500);
      expect(Math.max(...firsts) - Math.min(...firsts)).toBeGreaterThan(PERIOD_MS / 10);
      for (const { rounds } of [eager, ...others]) {
        const starts = rounds.map(({ startedAt }) => startedAt);
        for (const [index, at] of starts.slice(1).entries()) {
          expect(at - (starts[index] ?? 0)).toBeGreaterThanOrEqual(PERIOD_MS * 0.9);
          expect(at - (starts[index] ?? 0)).toBeLessThanOrEqual(PERIOD_MS * 1.1 + 500);
        }
      }
    });

    it('tell what they did: stored, published, shown', async () => {
      const replica = await room.addReplica(
        new ScriptedReconciler('sweep', () => ({ processed: 7, changed: 2, detail: { oldest: 5, $kind: '$a.b' } })),
      );
      await replica.manager.start();
      await room.until(() => replica.events.length > 0);
      expect(replica.events[0]).toMatchObject({
        type: 'controller.reconciled',
        payload: { name: 'sweep', epoch: 1, outcome: 'success', processed: 7, changed: 2, consecutiveErrors: 0 },
      });
      await room.until(async () => (await replica.records.find('sweep'))?.lastRunAt !== null);
      const shown = await replica.service.get(ADMIN, 'sweep');
      expect(shown).toMatchObject({
        state: 'waiting',
        lastOutcome: 'success',
        processed: 7,
        changed: 2,
        detail: { oldest: 5, $kind: '$a.b' },
        consecutiveErrors: 0,
        lastError: null,
        leader: { holder: replica.election.holder, isThisReplica: true, epoch: 1 },
      });
      const nextInMs = Date.parse(shown.nextRunAt ?? '') - Date.parse(shown.lastSuccessAt ?? '');
      expect(nextInMs).toBeGreaterThanOrEqual(PERIOD_MS * 0.9);
      expect(nextInMs).toBeLessThanOrEqual(PERIOD_MS * 1.1);
    });

    it('never overlap, and are aborted when their time is over', async () => {
      const slow = new ScriptedReconciler('slow', ({ signal }) => untilAborted(signal), { timeoutMs: 2 * PERIOD_MS });
      const replica = await room.addReplica(slow);
      await replica.manager.start();
      await room.until(() => slow.rounds.length === 1);
      await room.pass(1.9 * PERIOD_MS, 1_000);
      expect([slow.rounds.length, slow.inFlight]).toEqual([1, 1]);
      await room.until(() => slow.rounds[0]?.signal.aborted === true);
      expect(slow.rounds[0]?.signal.reason).toBeInstanceOf(ReconcileTimeout);
      await room.until(() => slow.rounds.length === 2);
      expect(slow.mostInFlight).toBe(1);
      const stored = await replica.records.find('slow');
      expect(stored).toMatchObject({ consecutiveErrors: 1, lastError: expect.stringContaining('120000 ms') });
    });

    it('harm no other when they throw, reject, answer nonsense, hang until aborted, or for ever', async () => {
      const good = new ScriptedReconciler('good');
      const bad = [
        new ScriptedReconciler('throwing', () => {
          throw new Error('mongodb://user:hunter2@db/ is away');
        }),
        new ScriptedReconciler('rejecting', () => Promise.reject('not even an error')),
        new ScriptedReconciler('answering', () => undefined),
        new ScriptedReconciler('hanging', ({ signal }) => untilAborted(signal), { timeoutMs: 1_000 }),
        new ScriptedReconciler('stuck', hang, { timeoutMs: 1_000 }),
      ];
      const replica = await room.addReplica(good, ...bad);
      await replica.manager.start();
      await room.until(() => good.rounds.length === 3, 500);
      for (const { name, rounds, mostInFlight } of bad) {
        // All but the stuck one have been tried again and again, sooner than a period later.
        if (name !== 'stuck') expect([name, rounds.length]).toEqual([name, expect.any(Number)]);
        expect([name, rounds.length > 4]).toEqual([name, name !== 'stuck']);
        expect([name, mostInFlight]).toEqual([name, 1]);
        const record = await replica.records.find(name);
        if (name !== 'stuck') expect(record?.consecutiveErrors).toBeGreaterThan(3);
        expect(record?.lastSuccessAt).toBeNull();
      }
      expect((await replica.records.find('throwing'))?.lastError).toBe('mongodb://db/ is away');
      expect((await replica.records.find('rejecting'))?.lastError).toBe('not even an error');
      expect(await replica.records.find('good')).toMatchObject({ consecutiveErrors: 0, lastError: null });
    });

    it('come back after failures in 1 s, 2 s, 4 s … up to the period, and after a success in a period again', async () => {
      const starts: number[] = [];
      const failing = new ScriptedReconciler('failing', (_, index) => {
        starts.push(replica.clock.monotonic());
        if (index < 8) throw new Error(`failure ${index}`);
        return { processed: 1, changed: 0 };
      });
      const replica = await room.addReplica(failing);
      await replica.manager.start();
      await room.until(() => failing.rounds.length === 10);
      const gaps = starts.slice(1).map((at, index) => at - (starts[index] ?? 0));
      for (const [index, gap] of gaps.entries()) {
        const wanted = index < 8 ? Math.min(1_000 * 2 ** index, PERIOD_MS) : PERIOD_MS;
        expect([index, gap >= wanted * 0.9]).toEqual([index, true]);
        expect([index, gap <= wanted * 1.1 + 500]).toEqual([index, true]);
      }
      expect(await replica.records.find('failing')).toMatchObject({ consecutiveErrors: 0, lastError: 'failure 7' });
    });

    it('begin a round that is due in spite of a store that fails for a while', async () => {
      const sweep = new ScriptedReconciler('sweep', undefined, { periodMs: 1_000 });
      const replica = await room.addReplica(sweep);
      await replica.manager.start();
      await room.until(() => sweep.rounds.length === 2);
      const find = replica.records.find.bind(replica.records);
      replica.records.find = () => Promise.reject(new Error('the primary is gone'));
      await room.pass(5_000);
      replica.records.find = find;
      const before = sweep.rounds.length;
      await room.until(() => sweep.rounds.length > before);
    });
  });

  describe('several replicas', () => {
    it('run one round in a period between them, and take over from one that is killed in less than 20 s', async () => {
      const options = { periodMs: 5_000 };
      const [one, two] = [
        new ScriptedReconciler('sweep', undefined, options),
        new ScriptedReconciler('sweep', undefined, options),
      ];
      const first = await room.addReplica(one);
      await first.manager.start();
      await room.until(() => one.rounds.length === 1);
      const second = await room.addReplica(two);
      await second.manager.start();
      await room.pass(25_000);
      expect(one.rounds.length).toBeGreaterThanOrEqual(4);
      expect(two.rounds).toHaveLength(0);
      expect((await second.service.get(ADMIN, 'sweep')).leader).toMatchObject({ isThisReplica: false, epoch: 1 });
      first.isPaused = true;
      expect(await room.until(() => two.rounds.length === 1)).toBeLessThan(20_000);
      expect(two.rounds[0]?.lease.epoch).toBe(2);
    });

    it('hand over at once, and keep what is due, when the leader stops', async () => {
      const options = { periodMs: 3_600_000, reconcileOnStart: false };
      const [one, two] = [
        new ScriptedReconciler('sweep', undefined, options),
        new ScriptedReconciler('sweep', undefined, options),
      ];
      const first = await room.addReplica(one);
      await first.manager.start();
      await room.until(() => has(first, 'nextRunAt'));
      const planned = (await first.records.find('sweep'))?.nextRunAt;
      const second = await room.addReplica(two);
      await second.manager.start();
      await room.finish(first.manager.stop(NEVER));
      await room.until(async () => (await second.records.find('sweep'))?.epoch === 2);
      expect((await second.records.find('sweep'))?.nextRunAt).toEqual(planned);
      expect([one.rounds.length, two.rounds.length]).toEqual([0, 0]);
    });

    it('tell a reconciler that another leads', async () => {
      const resigned: string[] = [];
      const reconcilerOf = (who: string) =>
        Object.assign(new ScriptedReconciler('sweep'), { resigned: () => void resigned.push(who) });
      const [one, two] = [reconcilerOf('one'), reconcilerOf('two')];
      const first = await room.addReplica(one);
      await first.manager.start();
      await room.until(() => one.rounds.length === 1);
      const second = await room.addReplica(two);
      await second.manager.start();
      await room.pass(10_000);
      expect(resigned).toEqual([]);
      first.isPaused = true;
      await room.until(() => two.rounds.length === 1);
      first.isPaused = false;
      await room.until(() => resigned.length > 0);
      await room.pass(10_000);
      expect(resigned).toEqual(['one']);
    });

    it('let a leader that was paused between read and write change nothing', async () => {
      const jobs = room.database.connection.collection('jobs_of_the_test');
      await jobs.insertOne({ state: 'stuck', requeuedBy: [] });
      const read = Promise.withResolvers<void>();
      const goOn = Promise.withResolvers<void>();
      const refusals: unknown[] = [];
      const sweepOf = (who: string, pause: () => Promise<void>) =>
        new ScriptedReconciler('sweep', async ({ lease }) => {
          const found = await jobs.findOne({ state: 'stuck' });
          await pause();
          if (!found) return { processed: 0, changed: 0 };
          try {
            lease.assertHeld();
          } catch (error) {
            refusals.push(error);
            throw error;
          }
          const change = { $set: { state: 'queued' }, $push: { requeuedBy: who } } as never;
          await jobs.updateOne({ _id: found._id, state: 'stuck' }, change);
          return { processed: 1, changed: 1 };
        });
      const first = await room.addReplica(
        sweepOf('first', () => {
          read.resolve();
          return goOn.promise;
        }),
      );
      await first.manager.start();
      await room.until(() => has(first, 'startedAt'));
      await read.promise;
      first.isPaused = true;
      const second = await room.addReplica(sweepOf('second', () => Promise.resolve()));
      await second.manager.start();
      await room.until(() => has(second, 'lastSuccessAt'));
      const told = await second.records.find('sweep');
      // Awake again: it goes on right where it was, before any timer of it fires.
      goOn.resolve();
      await room.until(() => refusals.length === 1);
      first.isPaused = false;
      await room.pass(10_000);
      expect(refusals[0]).toBeInstanceOf(LeaseLost);
      expect(await jobs.findOne({})).toMatchObject({ state: 'queued', requeuedBy: ['second'] });
      expect(await second.records.find('sweep')).toEqual(told);
    });

    it('give the lead away from a round that hangs, and come back when it ends', async () => {
      const release = Promise.withResolvers<void>();
      const one = new ScriptedReconciler('sweep', () => release.promise, { timeoutMs: 1_000 });
      const two = new ScriptedReconciler('sweep');
      const first = await room.addReplica(one);
      await first.manager.start();
      await room.until(() => one.inFlight === 1);
      const second = await room.addReplica(two);
      await second.manager.start();
      // Timeout, grace, and the next try of the other.
      expect(await room.until(() => two.rounds.length === 1)).toBeLessThan(20_000);
      expect(one.rounds).toHaveLength(1);
      release.resolve();
      await room.step();
      await room.finish(second.manager.stop(NEVER));
      await room.until(() => first.election.elector('controller/sweep').isLeader);
      expect(one.mostInFlight).toBe(1);
    });
  });

  describe('requests', () => {
    it('run a round on whichever replica leads, and are answered after it', async () => {
      const options = { periodMs: 3_600_000, reconcileOnStart: false };
      const [one, two] = [
        new ScriptedReconciler('sweep', undefined, options),
        new ScriptedReconciler('sweep', undefined, options),
      ];
      const first = await room.addReplica(one);
      await first.manager.start();
      const second = await room.addReplica(two);
      await second.manager.start();
      const local = await room.finish(first.service.reconcile(ADMIN, 'sweep'));
      expect(local).toMatchObject({ isThrough: true, controller: { lastOutcome: 'success', processed: 3 } });
      const remote = await room.finish(second.service.reconcile(ADMIN, 'sweep'));
      expect(remote).toMatchObject({ isThrough: true, controller: { leader: { isThisReplica: false } } });
      expect([one.rounds.length, two.rounds.length]).toEqual([2, 0]);
    });

    it('are not answered by a round that had begun before, nor told as through while one is in progress', async () => {
      const gates = Array.from({ length: 3 }, () => Promise.withResolvers<{ processed: number; changed: number }>());
      const sweep = new ScriptedReconciler('sweep', (_, index) => gates[index]?.promise, { timeoutMs: 3_600_000 });
      const replica = await room.addReplica(sweep);
      await replica.manager.start();
      await room.until(() => sweep.rounds.length === 1);
      const early = room.finish(replica.service.reconcile(ADMIN, 'sweep'));
      expect(await early).toMatchObject({ isThrough: false, controller: { state: 'running' } });
      const waiting = replica.service.reconcile(ADMIN, 'sweep');
      gates[0]?.resolve({ processed: 1, changed: 1 });
      await room.until(() => sweep.rounds.length === 2);
      gates[1]?.resolve({ processed: 2, changed: 2 });
      expect(await room.finish(waiting)).toMatchObject({ isThrough: true, controller: { processed: 2 } });
      expect(sweep.rounds).toHaveLength(2);
    });

    it('are refused while it is paused, for another tenant, and for what does not exist', async () => {
      const replica = await room.addReplica(new ScriptedReconciler('sweep'));
      await replica.manager.start();
      await replica.service.pause(ADMIN, 'sweep');
      await expect(replica.service.reconcile(ADMIN, 'sweep')).rejects.toMatchObject({ code: 'controller.paused' });
      const tenant = { ...ADMIN, tenantId: 'acme' };
      await expect(replica.service.reconcile(tenant, 'sweep')).rejects.toMatchObject({ code: 'auth.forbidden' });
      await expect(replica.service.pause(tenant, 'sweep')).rejects.toMatchObject({ code: 'auth.forbidden' });
      await expect(replica.service.reconcile(ADMIN, 'none')).rejects.toMatchObject({ code: 'resource.not_found' });
    });

    it('show errors to admins of all tenants only', async () => {
      const replica = await room.addReplica(
        new ScriptedReconciler('sweep', () => {
          throw new Error('broken');
        }),
      );
      await replica.manager.start();
      await room.until(async () => (await replica.records.find('sweep'))?.lastError === 'broken');
      expect(await replica.service.get(ADMIN, 'sweep')).toMatchObject({ state: 'failing', lastError: 'broken' });
      for (const other of [
        { ...ADMIN, tenantId: 'acme' },
        { ...ADMIN, role: 'operator' as const },
      ]) {
        expect(await replica.service.get(other, 'sweep')).toMatchObject({ state: 'failing', lastError: null });
      }
    });
  });

  describe('pausing', () => {
    it('holds on every replica and over restarts, lets the round in progress end, and is undone by resuming', async () => {
      const gate = Promise.withResolvers<{ processed: number; changed: number }>();
      const sweep = new ScriptedReconciler('sweep', () => gate.promise, { periodMs: 5_000 });
      const first = await room.addReplica(sweep);
      await first.manager.start();
      await room.until(() => sweep.rounds.length === 1);
      const two = new ScriptedReconciler('sweep', undefined, { periodMs: 5_000 });
      const second = await room.addReplica(two);
      await second.manager.start();
      expect(await second.service.pause(ADMIN, 'sweep')).toMatchObject({ state: 'running', pausedBy: 'ada' });
      gate.resolve({ processed: 1, changed: 0 });
      await room.until(async () => (await first.service.get(ADMIN, 'sweep')).state === 'paused');
      await room.pass(20_000);
      await room.finish(first.manager.stop(NEVER));
      await room.pass(20_000);
      expect([sweep.rounds.length, two.rounds.length]).toEqual([1, 0]);
      expect(await second.service.get(ADMIN, 'sweep')).toMatchObject({ state: 'paused', nextRunAt: null });
      expect(await second.service.resume(ADMIN, 'sweep')).toMatchObject({ state: 'waiting', pausedBy: null });
      await second.service.resume(ADMIN, 'sweep');
      await room.until(() => two.rounds.length === 1);
      const changes = second.events.filter(({ type }) => type === 'controller.changed').map(({ payload }) => payload);
      expect(changes).toEqual([
        { name: 'sweep', change: 'paused', by: 'ada' },
        { name: 'sweep', change: 'resumed', by: 'ada' },
      ]);
    });
  });

  describe('stopping', () => {
    it('waits for the round in progress', async () => {
      const gate = Promise.withResolvers<{ processed: number; changed: number }>();
      const sweep = new ScriptedReconciler('sweep', () => gate.promise);
      const replica = await room.addReplica(sweep);
      await replica.manager.start();
      await room.until(() => sweep.inFlight === 1);
      let isStopped = false;
      const stopped = replica.manager.stop(NEVER).then(() => (isStopped = true));
      await room.pass(2_000);
      expect([isStopped, sweep.rounds[0]?.signal.aborted]).toEqual([false, false]);
      gate.resolve({ processed: 1, changed: 1 });
      await room.finish(stopped);
      expect(await replica.records.find('sweep')).toMatchObject({ processed: 1, startedAt: null });
      expect(replica.clock.pendingTimers).toBe(0);
    });

    it('aborts it at the deadline, as no failure, so that it is due at once for the next leader', async () => {
      const sweep = new ScriptedReconciler('sweep', ({ signal }) => untilAborted(signal));
      const replica = await room.addReplica(sweep);
      await replica.manager.start();
      await room.until(() => sweep.inFlight === 1);
      const deadline = new AbortController();
      const stopped = replica.manager.stop(deadline.signal);
      await room.step();
      deadline.abort(new Error('late'));
      await room.finish(stopped);
      expect(await replica.records.find('sweep')).toMatchObject({
        consecutiveErrors: 0,
        startedAt: null,
        lastRunAt: null,
      });
      expect(replica.clock.pendingTimers).toBe(0);
      const again = new ScriptedReconciler('sweep', undefined, { reconcileOnStart: false });
      const next = await room.addReplica(again);
      await next.manager.start();
      expect(await room.until(() => again.rounds.length === 1)).toBeLessThan(5_000);
    });

    it('names those that ignore their abort, within moments, and stops the others', async () => {
      const good = new ScriptedReconciler('good');
      const stuck = ['stuck-a', 'stuck-b'].map((name) => new ScriptedReconciler(name, hang));
      const replica = await room.addReplica(good, ...stuck);
      await replica.manager.start();
      await room.until(() => [good, ...stuck].every(({ rounds }) => rounds.length === 1));
      const stopped = replica.manager.stop(AbortSignal.abort(new Error('late')));
      stopped.catch(() => undefined);
      await room.pass(200);
      await expect(room.finish(stopped)).rejects.toThrow('controllers did not stop: stuck-a, stuck-b');
      expect(replica.clock.pendingTimers).toBe(0);
    });
  });

  describe('the metrics', () => {
    it('stand at zero from the registration on, and tell every round', async () => {
      let fails = false;
      const sweep = new ScriptedReconciler('sweep', () => {
        if (fails) throw new Error('broken');
        return { processed: 7, changed: 2 };
      });
      const replica = await room.addReplica(sweep);
      const scrape = (): Promise<string> => replica.registry.metrics();
      const zeros = await scrape();
      for (const series of [
        'reconcile_total{controller="sweep",result="success"}',
        'reconcile_total{controller="sweep",result="error"}',
        'reconcile_errors_total{controller="sweep"}',
        'items_processed_total{controller="sweep"}',
        'reconcile_duration_seconds_count{controller="sweep"}',
        'last_reconcile_timestamp_seconds{controller="sweep"}',
        'running{controller="sweep"}',
      ]) {
        expect(zeros).toContain(`crowsnest_controller_${series} 0\n`);
      }
      await replica.manager.start();
      await room.until(async () => (await scrape()).includes('items_processed_total{controller="sweep"} 7'));
      const after = await scrape();
      expect(after).toContain('crowsnest_controller_running{controller="sweep"} 1');
      expect(after).toContain('crowsnest_controller_reconcile_duration_seconds_count{controller="sweep"} 1');
      const [, lastReconcile] = /last_reconcile_timestamp_seconds\{controller="sweep"\} (\S+)/.exec(after) ?? [];
      expect(Number(lastReconcile)).toBeCloseTo(replica.clock.now() / 1_000, -1);
      expect(after).toContain('crowsnest_leader{duty="controller/sweep"} 1');

      fails = true;
      const asked = room.finish(replica.service.reconcile(ADMIN, 'sweep'));
      expect(await asked).toMatchObject({ isThrough: true, controller: { lastOutcome: 'failure' } });
      const failed = await scrape();
      expect(failed).toContain('reconcile_total{controller="sweep",result="error"} 1');
      expect(failed).toContain('reconcile_errors_total{controller="sweep"} 1');
      // It moves with successes only.
      expect(failed).toContain(`last_reconcile_timestamp_seconds{controller="sweep"} ${lastReconcile}`);
      await room.finish(replica.manager.stop(NEVER));
      expect(await scrape()).toContain('crowsnest_controller_running{controller="sweep"} 0');
    });
  });

  describe('the watchdog', () => {
    it('tells who has not succeeded for three periods, but no paused one, and until it succeeds again', async () => {
      let fails = true;
      const broken = new ScriptedReconciler('broken', () => {
        if (fails) throw new Error('broken');
        return { processed: 0, changed: 0 };
      });
      const replica = await room.addReplica(broken, new ScriptedReconciler('good'), new ScriptedReconciler('paused'));
      await replica.manager.start();
      await replica.watchdog.start();
      await replica.service.pause(ADMIN, 'paused');
      await room.pass(2.8 * PERIOD_MS, 1_000);
      expect(replica.watchdog.overdue).toEqual([]);
      await room.until(() => replica.watchdog.overdue.length > 0, 1_000);
      expect(replica.watchdog.overdue).toEqual(['broken']);
      expect(await replica.registry.metrics()).toContain('crowsnest_controller_overdue{controller="broken"} 1');
      expect(await replica.registry.metrics()).toContain('crowsnest_controller_overdue{controller="good"} 0');
      fails = false;
      await room.until(() => replica.watchdog.overdue.length === 0, 1_000);
    });
  });
});
