import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { settle } from '../../../test/support/fake-clock.js';
import { type JobRoom, PLATFORM_AGENT, agent, hexOf, openJobRoom } from '../../../test/support/job-room.js';
import { ADMIN } from '../../../test/support/tenant-room.js';

const MINUTE = 60_000;
const ERROR = { code: 'E_DISK', message: 'the disk is full' };

let room: JobRoom;
beforeAll(async () => {
  room = await openJobRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const get = (id: string) => room.service.get(ADMIN, id);

describe('reports of an agent', () => {
  it('take a job from claim to completion, telling each stored step on the bus', async () => {
    await room.add({ payload: { a: 1 } });
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    expect(await room.reports.start(PLATFORM_AGENT, id, token)).toMatchObject({
      job: { state: 'running' },
      expiresInMs: MINUTE,
      cancelRequested: false,
    });
    await room.clock.advance(5_000);
    await room.reports.progress(PLATFORM_AGENT, id, token, { percent: 40, message: '$half.way' });
    expect(await get(id)).toMatchObject({ progress: { percent: 40, message: '$half.way' }, state: 'running' });
    const done = await room.reports.complete(PLATFORM_AGENT, id, token, { 'found.$in': ['$x'] });
    expect(done).toMatchObject({ state: 'completed', reason: null, agentId: PLATFORM_AGENT.id });
    expect(await get(id)).toMatchObject({ result: { 'found.$in': ['$x'] }, error: null, endedAt: done.endedAt });
    const versions = room.changed.filter((job) => job.id === id).map(({ version }) => version);
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
    expect(room.changed.at(-1)).toMatchObject({ id, state: 'completed', version: 5 });
  });

  it('are answered as before when they are repeated with the same outcome, and refused with another', async () => {
    await room.add({}, 2);
    const one = await room.claimOne(PLATFORM_AGENT);
    const first = await room.reports.complete(PLATFORM_AGENT, one.id, one.token, 1);
    expect(await room.reports.complete(PLATFORM_AGENT, one.id, one.token, 1)).toEqual(first);
    const lost = { code: 'job.lease_lost', details: { state: 'completed' } };
    await expect(room.reports.fail(PLATFORM_AGENT, one.id, one.token, ERROR, true)).rejects.toMatchObject(lost);
    expect(await get(one.id)).toMatchObject({ state: 'completed', result: 1, version: first.version });

    const two = await room.claimOne(PLATFORM_AGENT);
    const failed = await room.reports.fail(PLATFORM_AGENT, two.id, two.token, ERROR, true);
    expect(failed.state).toBe('scheduled');
    expect(await room.reports.fail(PLATFORM_AGENT, two.id, two.token, ERROR, true)).toEqual(failed);
    await expect(room.reports.complete(PLATFORM_AGENT, two.id, two.token, 1)).rejects.toMatchObject({
      code: 'job.lease_lost',
    });
  });

  it('are refused in the wrong state with the state, and for what is not there or foreign with 404', async () => {
    await room.tenants.service.create(ADMIN, { name: 'acme' });
    await room.add({ pool: 'tenant', tenantId: 'acme' });
    const own = agent('a', 'acme');
    const { id, token } = await room.claimOne(own);
    await expect(room.reports.progress(own, id, token, { percent: 1 })).rejects.toMatchObject({
      code: 'job.not_transitionable',
      details: { state: 'claimed' },
    });
    const started = await room.reports.start(own, id, token);
    expect(await room.reports.start(own, id, token)).toEqual(started);
    const notFound = { code: 'resource.not_found' };
    await expect(room.reports.start(agent('b', 'other'), id, token)).rejects.toMatchObject(notFound);
    await expect(room.reports.start(own, '0'.repeat(24), token)).rejects.toMatchObject(notFound);
    const stolen = room.reports.complete(agent('b', 'acme'), id, token, 'mine');
    await expect(stolen).rejects.toMatchObject({ code: 'job.lease_lost' });
    await expect(room.reports.complete(own, id, `${token}x`, 1)).rejects.toMatchObject({ code: 'job.lease_lost' });
    expect(await get(id)).toMatchObject({ state: 'running', result: null });
  });

  it('of a zombie change nothing once another agent has the job', async () => {
    await room.add();
    const zombie = await room.claimOne(PLATFORM_AGENT);
    await room.clock.advance(2 * MINUTE);
    await room.sweep();
    await room.clock.advance(MINUTE);
    await room.sweep();
    const other = agent('q', '*');
    const next = await room.claimOne(other);
    expect(next).toMatchObject({ id: zombie.id, attempt: 2 });
    for (const report of [
      room.reports.start(PLATFORM_AGENT, zombie.id, zombie.token),
      room.reports.complete(PLATFORM_AGENT, zombie.id, zombie.token, 'late'),
      room.reports.fail(PLATFORM_AGENT, zombie.id, zombie.token, ERROR, true),
    ]) {
      await expect(report).rejects.toMatchObject({ code: 'job.lease_lost' });
    }
    expect(await room.leases.renew(PLATFORM_AGENT, [{ jobId: zombie.id, token: zombie.token }])).toEqual({
      renewed: [],
      lost: [zombie.id],
      cancel: [],
    });
    await room.reports.complete(other, next.id, next.token, 'right');
    expect((await get(next.id)).result).toBe('right');
  });

  it('of which two race: one completion is accepted, and a cancel before it is not lost', async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    const outcomes = await Promise.allSettled([
      room.reports.complete(PLATFORM_AGENT, id, token, 'done'),
      room.reports.fail(PLATFORM_AGENT, id, token, ERROR, false),
      room.service.cancel(ADMIN, id),
    ]);
    const ends = outcomes.slice(0, 2).filter(({ status }) => status === 'fulfilled');
    expect(ends).toHaveLength(1);
    const { state, history } = await get(id);
    expect(history.filter((entry) => ['complete', 'fail'].includes(entry.event))).toHaveLength(1);
    expect(['completed', 'failed', 'canceled']).toContain(state);
  });

  it('try a failed job again with growing delays, then fail it with the last error', async () => {
    await room.add({ maxRetries: 2 });
    const delays: number[] = [];
    for (let attempt = 1; attempt <= 2; attempt += 1) {
      const { id, token } = await room.claimOne(PLATFORM_AGENT);
      const failed = await room.reports.fail(PLATFORM_AGENT, id, token, ERROR, true);
      expect(failed).toMatchObject({ state: 'scheduled', reason: 'error', attempts: attempt });
      const delay = Date.parse(String(failed.runAt)) - room.clock.now();
      delays.push(delay);
      await room.clock.advance(delay);
      expect((await room.sweep()).counts.due).toBe(1);
    }
    const [first = 0, second = 0] = delays;
    expect(first).toBeGreaterThanOrEqual(2_500);
    expect(first).toBeLessThanOrEqual(5_000);
    expect(Math.abs(second - 2 * first)).toBeLessThanOrEqual(2);
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    await room.reports.fail(PLATFORM_AGENT, id, token, ERROR, true);
    expect(await get(id)).toMatchObject({ state: 'failed', attempts: 3, error: ERROR });
  });

  it('fail a job at once when the agent says that trying again is of no use', async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    expect(await room.reports.fail(PLATFORM_AGENT, id, token, ERROR, false)).toMatchObject({ state: 'failed' });
  });

  it('may hold a megabyte and no more', async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    const report = room.reports.complete(PLATFORM_AGENT, id, token, 'x'.repeat(1024 * 1024));
    await expect(report).rejects.toMatchObject({ code: 'request.too_large' });
    await room.reports.complete(PLATFORM_AGENT, id, token, 'x'.repeat(1024 * 1024 - 2));
  });

  it('keep a bounded history', async () => {
    await room.add({ maxRetries: 100 });
    for (let attempt = 1; attempt <= 12; attempt += 1) {
      const { id, token } = await room.claimOne(PLATFORM_AGENT);
      await room.reports.fail(PLATFORM_AGENT, id, token, ERROR, true);
      await room.clock.advance(10 * MINUTE);
      await room.sweep();
    }
    const [job] = await room.collection.documents.find().toArray();
    expect(job?.history).toHaveLength(20);
    expect(job?.history.at(-1)).toMatchObject({ event: 'due', attempt: 12, state: 'queued' });
  });
});

describe('cancelling', () => {
  it('ends a job that waits, at once', async () => {
    const [job] = await room.add();
    const id = String(job?._id.toHexString());
    expect(await room.service.cancel(ADMIN, id)).toMatchObject({ state: 'canceled', reason: 'canceled' });
    expect(await room.service.cancel(ADMIN, id)).toMatchObject({ state: 'canceled' });
    expect(await room.claim(PLATFORM_AGENT)).toEqual([]);
  });

  it('is a flag on a job that an agent has, told by the heartbeat; its failure is the end', async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    await room.reports.start(PLATFORM_AGENT, id, token);
    expect(await room.service.cancel(ADMIN, id)).toMatchObject({ state: 'running', cancelRequested: true });
    const progress = { percent: 50 };
    expect(await room.leases.renew(PLATFORM_AGENT, [{ jobId: id, token, progress }])).toEqual({
      renewed: [{ id, expiresInMs: MINUTE }],
      lost: [],
      cancel: [id],
    });
    await room.reports.fail(PLATFORM_AGENT, id, token, { code: null, message: 'stopped' }, true);
    expect(await get(id)).toMatchObject({ state: 'canceled', progress: { percent: 50 } });
    await expect(room.reports.complete(PLATFORM_AGENT, id, token, 1)).rejects.toMatchObject({ code: 'job.lease_lost' });
  });

  it('asked for again changes nothing and tells nobody', async () => {
    await room.add({}, 2);
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    const [waiting] = await room.collection.documents.find({ state: 'queued' }).toArray();
    for (const each of [id, hexOf(waiting)]) {
      await room.service.cancel(ADMIN, each);
      await settle();
      const before = await get(each);
      const told = room.changed.length;
      expect(await room.service.cancel(ADMIN, each)).toMatchObject({ version: before.version, cancelRequested: true });
      await settle();
      expect([await get(each), room.changed.length]).toEqual([before, told]);
    }
    await room.reports.complete(PLATFORM_AGENT, id, token, 1);
    const refused = { code: 'job.not_transitionable', details: { state: 'completed' } };
    await expect(room.service.cancel(ADMIN, id)).rejects.toMatchObject(refused);
  });

  it('of what was completed first is refused with the state', async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    await room.reports.complete(PLATFORM_AGENT, id, token, 1);
    const refused = { code: 'job.not_transitionable', details: { state: 'completed' } };
    await expect(room.service.cancel(ADMIN, id)).rejects.toMatchObject(refused);
    await expect(room.service.retry(ADMIN, id)).rejects.toMatchObject(refused);
  });

  it('can be taken back by a retry, which gives all attempts again', async () => {
    const [job] = await room.add();
    const id = String(job?._id.toHexString());
    await room.service.cancel(ADMIN, id);
    await room.clock.advance(MINUTE);
    expect(await room.service.retry(ADMIN, id)).toMatchObject({ state: 'queued', attempts: 0, endedAt: null });
    const stored = await room.collection.documents.findOne({});
    expect(stored).not.toHaveProperty('expiresAt');
    expect(stored?.virtualStart).toBe(room.clock.now());
    expect((await room.claimOne(PLATFORM_AGENT)).attempt).toBe(1);
  });

  it('and retried keeps a job from running before its time', async () => {
    const notBefore = new Date(room.clock.now() + 10 * MINUTE).toISOString();
    const [job] = await room.add({ notBefore });
    const id = String(job?._id.toHexString());
    await room.service.cancel(ADMIN, id);
    expect(await room.service.retry(ADMIN, id)).toMatchObject({ state: 'scheduled', runAt: notBefore });
    await room.clock.advance(9 * MINUTE);
    await room.sweep();
    expect(await room.claim(PLATFORM_AGENT)).toEqual([]);
    await room.clock.advance(MINUTE);
    await room.sweep();
    const { token } = await room.claimOne(PLATFORM_AGENT);
    await room.reports.fail(PLATFORM_AGENT, id, token, { code: null, message: 'x' }, false);
    expect(await room.service.retry(ADMIN, id)).toMatchObject({ state: 'queued', runAt: null });
  });
});

describe('a heartbeat', () => {
  it('makes leases longer; without it they end', async () => {
    await room.add({}, 2);
    const [a, b] = await room.claim(PLATFORM_AGENT, { capacity: 2 });
    await room.clock.advance(40_000);
    await room.leases.renew(PLATFORM_AGENT, [{ jobId: a?.id ?? '', token: a?.lease.token ?? '' }]);
    await room.clock.advance(40_000);
    expect(await room.sweep()).toMatchObject({ changed: 1, counts: { released: 1 } });
    expect(await room.stateOf(a?.id ?? '')).toBe('claimed');
    expect(await get(b?.id ?? '')).toMatchObject({ state: 'scheduled', reason: 'lease_expired' });
  });

  it('keeps no job for ever: not without progress, not unstarted by a tenant, not beyond its timeout', async () => {
    const own = agent('a', 'default');
    await room.add({ type: 'unstarted', pool: 'tenant' });
    await room.add({ type: 'silent', pool: 'tenant', priority: 1 });
    await room.add({ type: 'slow', pool: 'tenant', priority: 2, timeoutMs: 5 * MINUTE });
    const jobs = await room.claim(own, { capacity: 3 });
    const byType = new Map(jobs.map((job) => [job.type, { jobId: job.id, token: job.lease.token }]));
    for (const type of ['silent', 'slow']) {
      const { jobId = '', token = '' } = byType.get(type) ?? {};
      await room.reports.start(own, jobId, token);
    }
    const ends = new Map<string, number>();
    for (let second = 30; second <= 40 * 60; second += 30) {
      await room.clock.advance(30_000);
      const { lost } = await room.leases.renew(own, [...byType.values()]);
      for (const [type, { jobId }] of byType) if (lost.includes(jobId) && !ends.has(type)) ends.set(type, second / 60);
      await room.sweep();
    }
    expect(Object.fromEntries(ends)).toEqual({ slow: 5, unstarted: 10, silent: 30 });
    const reasons = (await room.collection.documents.find().toArray()).map(
      ({ type, history }) => `${type} ${history.find(({ event }) => event === 'release')?.reason}`,
    );
    expect(reasons.toSorted()).toEqual(['silent stuck', 'slow timeout', 'unstarted not_picked_up']);
  }, 60_000);

  it('of a job that tells progress goes on as long as it does', async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    await room.reports.start(PLATFORM_AGENT, id, token);
    for (let minute = 0; minute < 90; minute += 1) {
      await room.clock.advance(50_000);
      const progress = minute % 20 === 0 ? { progress: { percent: minute } } : {};
      const { lost } = await room.leases.renew(PLATFORM_AGENT, [{ jobId: id, token, ...progress }]);
      expect(lost).toEqual([]);
    }
  });
});
