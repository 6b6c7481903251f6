import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Types } from 'mongoose';
import {
  type JobRoom,
  HELD,
  NEVER,
  PLATFORM_AGENT,
  agent,
  makeJobs,
  openJobRoom,
  hexOf,
} from '../../../test/support/job-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import { ADMIN } from '../../../test/support/tenant-room.js';
import type { JobDocument } from '../job.document.js';
import { isTerminal } from '../job-state.js';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

let room: JobRoom;
beforeAll(async () => {
  room = await openJobRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const get = (id: string) => room.service.get(ADMIN, id);

interface Combination {
  readonly state: 'claimed' | 'running';
  readonly pool: 'tenant' | 'platform';
  readonly isAlive: boolean;
  readonly isValid: boolean;
  readonly isExhausted: boolean;
}

const both = [true, false];
const combinations: Combination[] = (['claimed', 'running'] as const).flatMap((state) =>
  (['tenant', 'platform'] as const).flatMap((pool) =>
    both.flatMap((isAlive) =>
      both.flatMap((isValid) => both.map((isExhausted) => ({ state, pool, isAlive, isValid, isExhausted }))),
    ),
  ),
);

describe('job recovery', () => {
  it.each(combinations)(
    'leaves none stuck: $state, $pool, agent alive $isAlive, lease valid $isValid, exhausted $isExhausted',
    async ({ state, pool, isAlive, isValid, isExhausted }) => {
      await room.add({ pool, maxRetries: 3 });
      const holder = agent('h', pool === 'tenant' ? 'default' : '*');
      const { id, token } = await room.claimOne(holder);
      if (state === 'running') await room.reports.start(holder, id, token);
      await room.clock.advance(10 * HOUR);
      if (!isAlive) room.agents.away.add(holder.id);
      const $set = {
        ...(isValid ? { 'lease.expiresAt': new Date(room.clock.now() + 45_000) } : {}),
        ...(isExhausted ? { attempts: 4 } : {}),
      };
      await room.collection.documents.updateOne({ state }, { $set: { version: 2, ...$set } });
      // An agent that is alive renews what it believes to have.
      if (isAlive) await room.leases.renew(holder, [{ jobId: id, token }]);
      await room.sweep();
      const { state: after, reason, error, history } = await get(id);
      expect(after).toBe(isExhausted ? 'failed' : 'scheduled');
      const late = state === 'claimed' && pool === 'tenant' ? 'not_picked_up' : 'stuck';
      expect(reason).toBe(!isAlive && isValid ? 'agent_offline' : late);
      if (isExhausted) expect(error).toMatchObject({ code: 'retries_exhausted' });
      expect(history.at(-1)).toMatchObject({ event: 'release', state: after, reason, agentId: holder.id });
      if (isExhausted) return;
      await room.clock.advance(10 * MINUTE);
      await room.sweep();
      expect(await room.stateOf(id)).toBe('queued');
    },
  );

  it('is not the same for all who failed together: their retries are spread', async () => {
    await room.add({}, 40);
    await room.claim(PLATFORM_AGENT, { capacity: 40 });
    await room.clock.advance(2 * MINUTE);
    expect((await room.sweep()).counts.released).toBe(40);
    const delays = (await room.collection.documents.find().toArray()).map(
      ({ runAt }) => Number(runAt) - room.clock.now(),
    );
    expect(Math.min(...delays)).toBeGreaterThanOrEqual(2_500);
    expect(Math.max(...delays)).toBeLessThanOrEqual(5_000);
    expect(new Set(delays).size).toBeGreaterThan(20);
  });

  it('expires what waited too long, and starts the count again after a retry', async () => {
    const [job] = await room.add();
    const id = hexOf(job);
    await room.clock.advance(50 * MINUTE);
    const { token } = await room.claimOne(PLATFORM_AGENT);
    await room.reports.fail(PLATFORM_AGENT, id, token, { code: null, message: 'x' }, true);
    await room.clock.advance(MINUTE);
    await room.sweep();
    await room.clock.advance(59 * MINUTE);
    await room.sweep();
    expect(await room.stateOf(id)).toBe('queued');
    await room.clock.advance(2 * MINUTE);
    expect((await room.sweep()).counts).toMatchObject({ expired: 1 });
    expect(await get(id)).toMatchObject({ state: 'expired', reason: 'queue_limit' });
    expect((await get(id)).endedAt).toBe(new Date(room.clock.now()).toISOString());
  });

  it('cancels instead of trying again when that was asked for', async () => {
    await room.add();
    const { id } = await room.claimOne(PLATFORM_AGENT);
    await room.service.cancel(ADMIN, id);
    await room.clock.advance(2 * MINUTE);
    await room.sweep();
    expect(await room.stateOf(id)).toBe('canceled');
  });

  it('takes more than a slice, changes each job once, tells each and finds nothing the second time', async () => {
    await room.add({}, 500);
    await room.add({}, 500);
    await room.add({}, 250);
    for (let batch = 0; batch < 13; batch += 1) await room.claim(PLATFORM_AGENT, { capacity: 100 });
    await room.clock.advance(2 * MINUTE);
    room.changed.length = 0;
    const other = makeJobs(room.database, room.clock);
    const sweeps = await Promise.all([room.sweep(), other.sweep()]);
    await room.sweep();
    expect(sweeps[0].counts.released + sweeps[1].counts.released).toBeGreaterThanOrEqual(1_249);
    expect(await room.collection.documents.countDocuments({ state: 'scheduled', attempts: 1 })).toBe(1_250);
    const releases = await room.collection.documents.find({}, { projection: { history: 1 } }).toArray();
    expect(releases.every(({ history }) => history.filter(({ event }) => event === 'release').length === 1)).toBe(true);
    expect((await room.sweep()).changed).toBe(0);
    expect(room.changed.length).toBe(sweeps[0].counts.released);
  }, 60_000);

  it('changes nothing that was reported between its look and its write', async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    await room.clock.advance(2 * MINUTE);
    const now = new Date(room.clock.now());
    const releases = room.releases;
    const overdue = await releases.overdueLeases(now, 10);
    expect(overdue.map(hexOf)).toEqual([id]);
    await room.leases.renew(PLATFORM_AGENT, [{ jobId: id, token }]);
    const change = room.changes.marked(room.changes.release('job-recovery', null), 'late');
    expect(await releases.release(overdue, change, 'late')).toEqual([]);
    expect(await room.stateOf(id)).toBe('claimed');
    await room.reports.complete(PLATFORM_AGENT, id, token, 1);
    expect(await releases.release(overdue, change, 'late')).toEqual([]);
    expect(await room.stateOf(id)).toBe('completed');
  });

  it('takes no lease back that is not over by a clock that was set back between two slices', async () => {
    await room.add({}, 150);
    for (let claims = 0; claims < 2; claims += 1) await room.claim(PLATFORM_AGENT, { capacity: 100 });
    await room.clock.advance(2 * MINUTE);
    const held = () => room.collection.documents.countDocuments({ state: 'claimed' });
    let jumped = 0;
    // Asked before each look and each write: once some are taken back, before the second look.
    const lease = {
      assertHeld: (): void => {
        if (jumped === 0 && room.changed.length > 0) room.clock.jump((jumped = -10 * MINUTE));
      },
    };
    room.changed.length = 0;
    await room.sweeps.recover(NEVER, lease);
    room.clock.jump(-jumped);
    expect([await held(), jumped]).toEqual([50, -10 * MINUTE]);
    await room.sweep();
    expect(await held()).toBe(0);
  });

  it('does nothing without the lead, and goes on to the next step when one fails', async () => {
    await room.add();
    await room.claim(PLATFORM_AGENT);
    await room.add({ notBefore: new Date(room.clock.now() + MINUTE).toISOString() });
    await room.clock.advance(2 * MINUTE);
    const lost = {
      assertHeld: (): void => {
        throw new Error('lost');
      },
    };
    await expect(room.sweeps.recover(NEVER, lost)).rejects.toThrow('lost');
    expect(await room.collection.documents.countDocuments({ state: 'claimed' })).toBe(1);
    room.agents.isAway = true;
    // A lease that is valid, so that the failing step has an agent to ask about.
    await room.add({ priority: 100 });
    await room.claim(PLATFORM_AGENT);
    await expect(room.sweeps.recover(NEVER, HELD)).rejects.toThrow('the directory is away');
    expect(await room.collection.documents.countDocuments({ state: 'scheduled' })).toBe(1);
    expect(await room.collection.documents.countDocuments({ state: 'queued' })).toBe(1);
  });

  it("shortens leases that the server's time left behind when it jumped back", async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    const $set = { 'lease.expiresAt': new Date(room.clock.now() + 11 * MINUTE) };
    await room.collection.documents.updateOne({ state: 'claimed' }, { $set });
    expect((await room.sweep()).counts).toMatchObject({ shortened: 1, released: 0 });
    await room.clock.advance(61_000);
    expect((await room.sweep()).counts).toMatchObject({ released: 1 });
    await expect(room.reports.start(PLATFORM_AGENT, id, token)).rejects.toMatchObject({ code: 'job.lease_lost' });
  });

  it('takes all jobs of an agent that goes, at once', async () => {
    await room.add({}, 3);
    const other = agent('q', '*');
    await room.claim(PLATFORM_AGENT, { capacity: 2 });
    const [kept] = await room.claim(other);
    expect(await room.leases.releaseAll(PLATFORM_AGENT.id, 'agent_removed')).toBe(2);
    expect(await room.leases.releaseAll(PLATFORM_AGENT.id, 'agent_removed')).toBe(0);
    const jobs = await room.collection.documents.find({ state: 'queued' }).toArray();
    const queued = { reason: 'agent_removed', attempts: 1, waitingSince: new Date(room.clock.now()) };
    expect(jobs).toMatchObject([queued, queued]);
    expect(jobs.some((job) => 'runAt' in job || 'lease' in job || 'outcome' in job)).toBe(false);
    expect(await room.stateOf(kept?.id ?? '')).toBe('claimed');
    const again = await room.claim(other, { capacity: 3 });
    expect(again.map(({ attempt }) => attempt)).toEqual([2, 2]);
  });

  it('gives jobs of a removed agent to one that waits already, and keeps those that go offline for later', async () => {
    await room.add();
    const { id } = await room.claimOne(PLATFORM_AGENT);
    const waiting = room.claim(agent('q', '*'), { waitMs: 30_000 });
    await settle();
    await room.leases.releaseAll(PLATFORM_AGENT.id, 'agent_removed');
    expect(await waiting).toMatchObject([{ id, attempt: 2 }]);
    await room.leases.releaseAll(agent('q', '*').id, 'agent_offline');
    expect(await get(id)).toMatchObject({ state: 'scheduled', reason: 'agent_offline', runAt: expect.any(String) });
  });

  it('ends jobs of a removed agent that had their last attempt, or are to be cancelled', async () => {
    await room.add({ maxRetries: 0 });
    await room.add();
    const [last, canceled] = await room.claim(PLATFORM_AGENT, { capacity: 2 });
    await room.service.cancel(ADMIN, canceled?.id ?? '');
    await room.leases.releaseAll(PLATFORM_AGENT.id, 'agent_removed');
    expect(await get(last?.id ?? '')).toMatchObject({ state: 'failed', error: { code: 'retries_exhausted' } });
    expect(await get(canceled?.id ?? '')).toMatchObject({ state: 'canceled' });
    const stored = await room.collection.documents.find().toArray();
    expect(stored.some((job) => 'waitingSince' in job || 'runAt' in job)).toBe(false);
    expect(stored.every(({ endedAt }) => endedAt !== null)).toBe(true);
  });

  it('leaves jobs of a removed agent their place among the running ones of their tenant', async () => {
    await room.tenants.service.create(ADMIN, { name: 'acme', limits: { running: 1 } });
    await room.add({ tenantId: 'acme' }, 2);
    const { id } = await room.claimOne(PLATFORM_AGENT);
    await room.leases.releaseAll(PLATFORM_AGENT.id, 'agent_removed');
    await room.sweep();
    const stored = await room.collection.documents.find().toArray();
    const places = new Map(stored.map((job) => [hexOf(job) === id ? 'released' : 'other', [job.state, job.slot]]));
    expect(Object.fromEntries(places)).toEqual({ released: ['queued', 0], other: ['throttled', undefined] });
  });

  it('leaves fields of their state only, so that sparse indexes stay small', async () => {
    await room.add({ maxRetries: 0 }, 4);
    const [a, b, c] = await room.claim(PLATFORM_AGENT, { capacity: 3 });
    await room.reports.complete(PLATFORM_AGENT, a?.id ?? '', a?.lease.token ?? '', 1);
    await room.reports.fail(PLATFORM_AGENT, b?.id ?? '', b?.lease.token ?? '', { code: null, message: 'x' }, true);
    await room.reports.start(PLATFORM_AGENT, c?.id ?? '', c?.lease.token ?? '');
    const documents: JobDocument[] = await room.collection.documents.find().toArray();
    for (const document of documents) {
      expect([document.state, 'lease' in document]).toEqual([document.state, document.state === 'running']);
      expect([document.state, 'waitingSince' in document]).toEqual([document.state, document.state === 'queued']);
      expect([document.state, 'expiresAt' in document]).toEqual([document.state, isTerminal(document.state)]);
      expect('runAt' in document).toBe(false);
      expect('outcome' in document).toBe(false);
      expect(document._id).toBeInstanceOf(Types.ObjectId);
    }
    expect(documents.map(({ state }) => state).toSorted()).toEqual(['completed', 'failed', 'queued', 'running']);
  });
});
