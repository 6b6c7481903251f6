import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import { FakeLeaseStore } from '../../test/support/fake-lease-store.js';
import { configDefaults } from '../../test/support/config-defaults.js';
import { ProcessClock } from '../../test/support/process-clock.js';
import { CryptoRandom } from '../runtime/random.js';
import { Elector } from './elector.js';
import { LeaseLost } from './held-lease.js';
import { leaderElectionConfig } from './leader-election.config.js';

const CONFIG = configDefaults(leaderElectionConfig);
const STEP_MS = 100;
const NEVER = new AbortController().signal;

/** Processes with clocks of their own around one store. */
class World {
  readonly storeClock = new FakeClock();
  readonly store = new FakeLeaseStore(this.storeClock);
  private readonly held: Array<() => void> = [];
  readonly processes: Array<{ elector: Elector; clock: ProcessClock; isPaused: boolean }> = [];

  add(rate = 1) {
    const clock = new ProcessClock(rate);
    const holder = `process-${this.processes.length}`;
    const { store } = this;
    const elector = new Elector({ duty: 'sweep', holder, store, config: CONFIG, clock, random: new CryptoRandom() });
    const process = { elector, clock, isPaused: false };
    this.processes.push(process);
    return process;
  }

  async start(): Promise<void> {
    for (const { elector } of this.processes) await elector.start();
    await settle();
  }

  /** Time for all, in small steps, with at most one leader after each. Ends early once the condition holds; tells how long it took. */
  async pass(ms: number, until: () => boolean = () => false): Promise<number> {
    for (let passed = 0; passed < ms; passed += STEP_MS) {
      if (until()) return passed;
      await this.storeClock.advance(STEP_MS);
      for (const { clock, isPaused } of this.processes) {
        if (isPaused) clock.stall(STEP_MS);
        else await clock.advance(STEP_MS);
      }
      this.expectOneLeader();
    }
    return ms;
  }

  /** Of those that run: to ask a paused one would make it act. */
  expectOneLeader(): void {
    const leaders = this.processes.filter(({ elector, isPaused }) => !isPaused && elector.isLeader);
    expect(leaders.length).toBeLessThanOrEqual(1);
  }

  async suffer({ kind, who, afterMs }: Mishap): Promise<void> {
    await this.pass(afterMs);
    const process = this.processes[who];
    if (!process) throw new Error('there is no such process');
    if (kind === 'stall') {
      process.isPaused = true;
      await this.pass(1_500);
      process.isPaused = false;
    } else if (kind === 'pause') process.isPaused = !process.isPaused;
    else if (kind === 'sleep') process.clock.jump(600_000);
    else if (kind === 'fail') this.store.failure = this.store.failure ? undefined : new Error('down');
    else if (kind === 'hold') this.held.push(this.store.holdNextAnswer());
    else if (kind === 'restart') {
      await process.elector.stop(AbortSignal.abort(new Error('at once')));
      await process.elector.start();
    }
    this.expectOneLeader();
  }

  async recover(): Promise<void> {
    this.store.failure = undefined;
    for (const letGo of this.held) letGo();
    for (const process of this.processes) process.isPaused = false;
    await settle();
  }

  async stop(): Promise<void> {
    await Promise.all(this.processes.map(({ elector }) => elector.stop(NEVER)));
    for (const { clock } of this.processes) expect(clock.pendingTimers).toBe(0);
  }
}

const mishap = fc.record({
  kind: fc.constantFrom('none', 'stall', 'pause', 'sleep', 'restart', 'fail', 'hold'),
  who: fc.nat(2),
  afterMs: fc.integer({ min: 1, max: 20_000 }),
});
type Mishap = typeof mishap extends fc.Arbitrary<infer T> ? T : never;

describe('Elector', () => {
  it('leads after one round trip where it is alone, and for as long as it runs', async () => {
    const world = new World();
    const { elector } = world.add();
    await world.start();
    expect(elector.held).toMatchObject({ duty: 'sweep', epoch: 1 });
    expect(world.store.acquisitions).toBe(1);
    const { held } = elector;
    await world.pass(120_000);
    expect(elector.held).toBe(held);
    expect(held?.signal.aborted).toBe(false);
    await world.stop();
    expect(() => held?.assertHeld()).toThrow(LeaseLost);
  });

  it('is taken over in less than 20 s after a kill', async () => {
    const world = new World();
    const first = world.add();
    await world.start();
    const second = world.add();
    await second.elector.start();
    await world.pass(60_000);
    expect([first.elector.isLeader, second.elector.isLeader]).toEqual([true, false]);
    // The worst moment: right after a renewal.
    const left = (): number => first.elector.held?.remainingMs ?? 0;
    await world.pass(10_000, () => left() > CONFIG.ttlMs - CONFIG.marginMs - STEP_MS);
    first.isPaused = true;
    expect(await world.pass(30_000, () => second.elector.isLeader)).toBeLessThan(20_000);
    expect(second.elector.held?.epoch).toBe(2);
    await world.stop();
  });

  it('is taken over within a retry period after a stop', async () => {
    const world = new World();
    const first = world.add();
    await world.start();
    const second = world.add();
    await second.elector.start();
    await first.elector.stop(NEVER);
    expect(await world.pass(30_000, () => second.elector.isLeader)).toBeLessThan(2_500);
    await world.stop();
  });

  it('tells a paused process before its next command that another leads', async () => {
    const world = new World();
    const first = world.add();
    await world.start();
    const lease = first.elector.held;
    const second = world.add();
    await second.elector.start();
    lease?.assertHeld();
    first.isPaused = true;
    await world.pass(30_000, () => second.elector.isLeader);
    // No timer of the first has fired: its clock alone has to tell.
    expect(() => lease?.assertHeld()).toThrow(/stood still/);
    expect(lease?.signal.reason).toBeInstanceOf(LeaseLost);
    first.isPaused = false;
    await world.pass(30_000);
    expect(second.elector.isLeader).toBe(true);
    await world.stop();
  });

  it('loses by a stall beyond the margin, though the lease would still run, and competes again at once', async () => {
    const world = new World();
    const { elector, clock } = world.add();
    await world.start();
    const lease = elector.held;
    clock.stall(CONFIG.marginMs * 0.7);
    expect(() => lease?.assertHeld()).not.toThrow();
    await world.pass(1_000);
    clock.stall(CONFIG.marginMs + 1);
    expect(() => lease?.assertHeld()).toThrow(/stood still/);
    expect(elector.held).toBeUndefined();
    await world.pass(STEP_MS);
    expect(elector.held).toMatchObject({ epoch: 1 });
    expect(elector.held).not.toBe(lease);
    await world.stop();
  });

  it('loses when the machine has slept, which the monotonic clock does not show', async () => {
    const world = new World();
    const { elector, clock } = world.add();
    await world.start();
    const lease = elector.held;
    clock.jump(600_000);
    expect(() => lease?.assertHeld()).toThrow(/not renewed/);
    await world.pass(STEP_MS);
    expect(elector.isLeader).toBe(true);
    clock.jump(-600_000);
    await world.pass(60_000);
    expect(elector.isLeader).toBe(true);
    await world.stop();
  });

  it('stops relying on its lease when renewals only fail, and leads again after them', async () => {
    const world = new World();
    const { elector } = world.add();
    await world.start();
    const lease = elector.held;
    const changes: boolean[] = [];
    elector.onChange((isLeader) => changes.push(isLeader));
    world.store.failure = new Error('the primary is gone');
    const heldForMs = await world.pass(60_000, () => lease?.signal.aborted === true);
    expect(heldForMs).toBeLessThanOrEqual(CONFIG.ttlMs - CONFIG.marginMs);
    expect(heldForMs).toBeGreaterThan(CONFIG.ttlMs - CONFIG.marginMs - 500);
    await world.pass(60_000);
    expect(elector.isLeader).toBe(false);
    world.store.failure = undefined;
    expect(await world.pass(10_000, () => elector.isLeader)).toBeLessThan(2_500);
    expect(changes).toEqual([false, true]);
    await world.stop();
  });

  it('counts from the request, so that an answer which comes too late grants nothing', async () => {
    const world = new World();
    const { elector, clock } = world.add();
    const answer = world.store.holdNextAnswer();
    await elector.start();
    clock.stall(CONFIG.ttlMs);
    answer();
    await settle();
    expect(elector.isLeader).toBe(false);
    await world.pass(5_000, () => elector.isLeader);
    const other = world.store.holdNextAnswer();
    const { remainingMs = 0 } = elector.held ?? {};
    await world.pass(CONFIG.renewMs * 1.2 + 3_000);
    other();
    await settle();
    // The grant is counted from when it was asked for, not from when it was told.
    expect(elector.held?.remainingMs).toBeLessThan(remainingMs - 2_000);
    await world.stop();
  });

  it('goes on without waiting for a request that is never answered', async () => {
    const world = new World();
    const { elector } = world.add();
    const never = world.store.holdNextAnswer();
    await world.start();
    expect(elector.isLeader).toBe(false);
    await world.pass(10_000);
    expect(elector.isLeader).toBe(true);
    never();
    await world.stop();
  });

  it('gives the lease back only after a renewal that was on its way', async () => {
    const world = new World();
    const first = world.add();
    await world.start();
    const answer = world.store.holdNextAnswer();
    const asked = world.store.acquisitions;
    await world.pass(10_000, () => world.store.acquisitions > asked);
    let isStopped = false;
    const stopped = first.elector.stop(NEVER).then(() => (isStopped = true));
    await settle();
    expect(isStopped).toBe(false);
    expect(first.elector.isLeader).toBe(false);
    answer();
    await stopped;
    const second = world.add();
    await second.elector.start();
    await settle();
    expect(second.elector.isLeader).toBe(true);
    await world.stop();
  });

  it('stops at the deadline while the store is silent', async () => {
    const world = new World();
    const { elector } = world.add();
    const never = world.store.holdNextAnswer();
    await world.start();
    await elector.stop(AbortSignal.abort(new Error('late')));
    never();
    await world.stop();
  });

  it('tells who waits for the lead, and who does not want to wait any more', async () => {
    const world = new World();
    const first = world.add();
    await world.start();
    await expect(first.elector.whenHeld(NEVER)).resolves.toMatchObject({ epoch: 1 });
    const second = world.add();
    await second.elector.start();
    const patience = new AbortController();
    const waiting = second.elector.whenHeld(patience.signal);
    const won = second.elector.whenHeld(NEVER);
    patience.abort(new Error('enough'));
    await expect(waiting).rejects.toThrow('enough');
    await first.elector.stop(NEVER);
    await world.pass(3_000);
    await expect(won).resolves.toMatchObject({ epoch: 2 });
    await world.stop();
  });

  it('has never two leaders, whatever stalls, fails and runs at another rate', async () => {
    const rate = fc.double({ min: 0.95, max: 1.05, noNaN: true });
    await fc.assert(
      fc.asyncProperty(fc.tuple(rate, rate, rate), fc.array(mishap, { maxLength: 15 }), async (rates, mishaps) => {
        const world = new World();
        for (const each of rates) world.add(each);
        await world.start();
        for (const each of mishaps) await world.suffer(each);
        await world.recover();
        await world.pass(40_000);
        expect(world.processes.filter(({ elector }) => elector.isLeader)).toHaveLength(1);
        await world.stop();
      }),
      { numRuns: 15 },
    );
  }, 60_000);
});
