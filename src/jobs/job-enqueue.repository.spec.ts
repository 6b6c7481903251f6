import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type JobRoom, PLATFORM_AGENT, makeJobs, openJobRoom, hexOf } from '../../test/support/job-room.js';
import { ADMIN } from '../../test/support/tenant-room.js';
import type { Principal } from '../auth/principal.js';

const MINUTE = 60_000;
const REQUEST = { type: 'scan', payload: {}, pool: 'platform', requires: '', priority: 0 } as const;
const ACME: Principal = { kind: 'user', id: 'bob', role: 'operator', tenantId: 'acme' };

let room: JobRoom;
beforeAll(async () => {
  room = await openJobRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const tenant = (name: string, limits = {}, plan = 'free') => room.tenants.service.create(ADMIN, { name, limits, plan });
const states = async (): Promise<Record<string, number>> => (await room.service.stats(ADMIN, undefined)).byState;
const count = (): Promise<number> => room.collection.documents.countDocuments();

describe('enqueueing', () => {
  it('ranks by virtual start, plan and priority, and answers in the order of the request', async () => {
    await tenant('acme', {}, 'team');
    const jobs = await room.enqueue.enqueue(ADMIN, [
      { ...REQUEST, tenantId: 'acme', type: 'first', priority: 30 },
      { ...REQUEST, type: 'second' },
      { ...REQUEST, tenantId: 'acme', type: 'third' },
    ]);
    const now = room.clock.now();
    expect(jobs.map(({ type, virtualStart }) => [type, virtualStart - now])).toEqual([
      ['first', 0],
      ['second', 0],
      ['third', 500],
    ]);
    expect(jobs.map(({ virtualStart, rank }) => virtualStart - rank)).toEqual([530 * 4_000, 250 * 4_000, 500 * 4_000]);
    expect((await room.claim(PLATFORM_AGENT, { capacity: 3 })).map(({ type }) => type)).toEqual([
      'first',
      'third',
      'second',
    ]);
  });

  it('keeps a job until its time, and does not let it grow older meanwhile', async () => {
    const at = room.clock.now() + 10 * MINUTE;
    const [job] = await room.add({ notBefore: new Date(at).toISOString() });
    expect(job).toMatchObject({ state: 'scheduled', virtualStart: at });
    await room.clock.advance(9 * MINUTE);
    await room.sweep();
    expect(await room.claim(PLATFORM_AGENT)).toEqual([]);
    await room.clock.advance(MINUTE);
    expect((await room.sweep()).counts).toMatchObject({ due: 1 });
    expect(await room.claim(PLATFORM_AGENT)).toHaveLength(1);
  });

  it('takes in one job for an idempotency key of a tenant, however often and at once it is asked', async () => {
    await tenant('acme');
    const request = { ...REQUEST, idempotencyKey: 'nightly' };
    const other = makeJobs(room.database, room.clock);
    const answers = await Promise.all([
      room.enqueue.enqueue(ADMIN, [request, { ...request, type: 'twin' }, REQUEST]),
      other.enqueue.enqueue(ADMIN, [request]),
      room.enqueue.enqueue(ADMIN, [request]),
    ]);
    const ids = answers.flatMap((jobs) => jobs.filter(({ idempotencyKey }) => idempotencyKey).map(hexOf));
    expect(ids).toHaveLength(4);
    expect(new Set(ids).size).toBe(1);
    expect(await count()).toBe(2);
    const [foreign] = await room.enqueue.enqueue(ADMIN, [{ ...request, tenantId: 'acme' }]);
    expect(ids).not.toContain(hexOf(foreign));
  });

  it('knows only tenants that exist, and only its own for a key of one', async () => {
    const notFound = { code: 'resource.not_found', detail: 'there is no such tenant' };
    await expect(room.add({ tenantId: 'nobody' })).rejects.toMatchObject(notFound);
    await expect(room.enqueue.enqueue(ACME, [REQUEST])).rejects.toMatchObject(notFound);
    await tenant('acme');
    await expect(room.enqueue.enqueue(ACME, [{ ...REQUEST, tenantId: 'default' }])).rejects.toMatchObject(notFound);
    expect(await room.enqueue.enqueue(ACME, [REQUEST])).toMatchObject([{ tenantId: 'acme', createdBy: 'bob' }]);
    expect(await count()).toBe(1);
  });

  it('refuses a payload over a megabyte, and then all of the request', async () => {
    const payload = 'x'.repeat(1024 * 1024);
    await expect(room.enqueue.enqueue(ADMIN, [REQUEST, { ...REQUEST, payload }])).rejects.toMatchObject({
      code: 'request.too_large',
      status: 413,
    });
    expect(await count()).toBe(0);
  });

  it('shows nobody the jobs of another tenant', async () => {
    const [job] = await room.add();
    const id = String(job?._id.toHexString());
    const notFound = { code: 'resource.not_found' };
    await expect(room.service.get(ACME, id)).rejects.toMatchObject(notFound);
    await expect(room.service.cancel(ACME, id)).rejects.toMatchObject(notFound);
    await expect(room.service.retry(ACME, id)).rejects.toMatchObject(notFound);
    expect((await room.service.list(ACME, { limit: 10 })).items).toEqual([]);
    expect((await room.service.stats(ACME, undefined)).counts).toEqual([]);
    await expect(room.service.stats(ACME, 'default')).rejects.toMatchObject(notFound);
    expect((await room.service.list(ACME, { limit: 10, tenantId: 'default' })).items).toEqual([]);
    expect(await room.stateOf(id)).toBe('queued');
  });

  it('is counted by state, type and tenant, and filtered in lists', async () => {
    await tenant('acme');
    await room.add({ type: 'a' }, 3);
    await room.add({ type: 'b', tenantId: 'acme' }, 2);
    await room.claim(PLATFORM_AGENT);
    expect(await room.service.stats(ADMIN, undefined)).toEqual({
      byState: expect.objectContaining({ queued: 4, claimed: 1, completed: 0 }),
      counts: [
        { state: 'queued', type: 'a', tenantId: 'default', count: 2 },
        { state: 'queued', type: 'b', tenantId: 'acme', count: 2 },
        { state: 'claimed', type: 'a', tenantId: 'default', count: 1 },
      ],
      isTruncated: false,
    });
    const { items } = await room.service.list(ADMIN, { limit: 10, state: ['claimed'], type: ['a', 'b'] });
    expect(items).toMatchObject([{ type: 'a', state: 'claimed', agentId: PLATFORM_AGENT.id }]);
    expect(items[0]).not.toHaveProperty('payload');
  });
});

describe("a tenant's limits", () => {
  it('refuse what is beyond those that may wait, all of the request, with 429', async () => {
    await tenant('acme', { queued: 3 });
    await room.add({ tenantId: 'acme' }, 2);
    await expect(room.add({ tenantId: 'acme' }, 2)).rejects.toMatchObject({
      code: 'job.limit',
      status: 429,
      details: { limit: 3 },
    });
    await room.add({ tenantId: 'acme' });
    expect(await count()).toBe(3);
    await room.claim(PLATFORM_AGENT);
    await room.add({ tenantId: 'acme' });
  });

  it('refuse the retry of a job as they refuse another', async () => {
    await tenant('acme', { queued: 1 });
    const [job] = await room.add({ tenantId: 'acme' });
    await room.service.cancel(ADMIN, hexOf(job));
    await room.add({ tenantId: 'acme' });
    await expect(room.service.retry(ADMIN, hexOf(job))).rejects.toMatchObject({ code: 'job.limit', status: 429 });
    expect(await room.stateOf(hexOf(job))).toBe('canceled');
    await room.claim(PLATFORM_AGENT);
    expect(await room.service.retry(ADMIN, hexOf(job))).toMatchObject({ state: 'queued' });
  });

  it('let no more run than may, first in rank first, and fill a place that comes free at once', async () => {
    await tenant('acme', { running: 2 });
    const added = await room.add({ tenantId: 'acme' }, 5);
    expect(added.map(({ state }) => state)).toEqual(['queued', 'queued', 'throttled', 'throttled', 'throttled']);
    const [urgent] = await room.add({ tenantId: 'acme', priority: 100 });
    const [first, second] = await room.claim(PLATFORM_AGENT, { capacity: 10 });
    expect(await room.claim(PLATFORM_AGENT)).toEqual([]);
    await room.reports.complete(PLATFORM_AGENT, first?.id ?? '', first?.lease.token ?? '', null);
    expect((await room.claim(PLATFORM_AGENT, { capacity: 10 })).map(({ id }) => id)).toEqual([hexOf(urgent)]);
    await room.reports.fail(
      PLATFORM_AGENT,
      second?.id ?? '',
      second?.lease.token ?? '',
      { code: null, message: 'x' },
      true,
    );
    expect(await states()).toMatchObject({ queued: 1, claimed: 1, throttled: 2, scheduled: 1, completed: 1 });
    await room.clock.advance(MINUTE);
    await room.sweep();
    expect(await states()).toMatchObject({ scheduled: 0 });
  });

  it('hold however many replicas fill places at once', async () => {
    const { id } = await tenant('acme', { running: 0 });
    await room.add({ tenantId: 'acme' }, 20);
    await room.tenants.service.update(ADMIN, id, { version: 1, limits: { running: 7 } });
    const replicas = [room, makeJobs(room.database, room.clock), makeJobs(room.database, room.clock)];
    const admitted = await Promise.all(replicas.map((replica) => replica.slots.fill('acme', 7)));
    expect(admitted.flat()).toHaveLength(7);
    expect(await states()).toMatchObject({ queued: 7, throttled: 13 });
    const slots = (await room.collection.documents.find({ state: 'queued' }).toArray()).map(({ slot }) => slot);
    expect(slots.toSorted((a = 0, b = 0) => a - b)).toEqual([0, 1, 2, 3, 4, 5, 6]);
  });

  it('that are set, lowered or lifted later hold from the next sweep on', async () => {
    const { id } = await tenant('acme');
    await room.add({ tenantId: 'acme' }, 6);
    const held = await room.claim(PLATFORM_AGENT, { capacity: 2 });
    await room.tenants.service.update(ADMIN, id, { version: 1, limits: { running: 3 } });
    expect((await room.sweep()).counts).toMatchObject({ throttled: 4, admitted: 1 });
    expect(await states()).toMatchObject({ claimed: 2, queued: 1, throttled: 3 });
    await room.tenants.service.update(ADMIN, id, { version: 2, limits: { running: null } });
    expect((await room.sweep()).counts).toMatchObject({ throttled: 0, admitted: 3 });
    expect(await states()).toMatchObject({ claimed: 2, queued: 4, throttled: 0 });
    expect(held).toHaveLength(2);
  });

  it('keep a tenant with unfinished jobs from being deleted; finished ones go with it', async () => {
    const { id } = await tenant('acme');
    const [job] = await room.add({ tenantId: 'acme' });
    await expect(room.tenants.service.delete(ADMIN, id)).rejects.toMatchObject({
      code: 'tenant.in_use',
      detail: 'the tenant acme still has 1 unfinished job',
    });
    await room.service.cancel(ADMIN, hexOf(job));
    await room.tenants.service.delete(ADMIN, id);
    expect(await count()).toBe(0);
  });
});
