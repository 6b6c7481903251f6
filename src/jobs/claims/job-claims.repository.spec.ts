import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type JobRoom, PLATFORM_AGENT, agent, makeJobs, openJobRoom } from '../../../test/support/job-room.js';
import { ADMIN } from '../../../test/support/tenant-room.js';
import { settle } from '../../../test/support/fake-clock.js';

let room: JobRoom;
beforeAll(async () => {
  room = await openJobRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const idsOf = (jobs: ReadonlyArray<{ id: string }>): string[] => jobs.map(({ id }) => id);
const hex = (jobs: ReadonlyArray<{ _id: { toHexString(): string } }>): string[] =>
  jobs.map(({ _id }) => _id.toHexString());

describe('claiming', () => {
  it('gives jobs in the order of rank, with what the agent needs and nothing else', async () => {
    const [low] = await room.add({ payload: { target: 'a' }, timeoutMs: 5_000 });
    const [high] = await room.add({ priority: 100 });
    const [first] = await room.claim(PLATFORM_AGENT);
    const [second] = await room.claim(PLATFORM_AGENT);
    expect(first).toEqual({
      id: high?._id.toHexString(),
      tenantId: 'default',
      type: 'scan',
      payload: {},
      attempt: 1,
      timeoutMs: null,
      lease: { token: expect.stringMatching(/^[\w-]{43}$/), expiresInMs: 60_000 },
    });
    expect(second).toMatchObject({ id: low?._id.toHexString(), payload: { target: 'a' }, timeoutMs: 5_000 });
    expect(await room.claim(PLATFORM_AGENT)).toEqual([]);
    const stored = await room.collection.documents.findOne({ priority: 100 });
    expect(JSON.stringify(stored)).not.toContain(first?.lease.token);
    expect(await room.service.get(ADMIN, String(first?.id))).toMatchObject({
      state: 'claimed',
      agentId: PLATFORM_AGENT.id,
      attempts: 1,
      version: 2,
      history: [
        { event: 'enqueue', state: 'queued', by: 'ada' },
        { event: 'claim', state: 'claimed', attempt: 1, agentId: PLATFORM_AGENT.id, by: PLATFORM_AGENT.id },
      ],
    });
  });

  it('gives batches, and each job once, however many agents claim at once', async () => {
    const added = await room.add({}, 60);
    const other = makeJobs(room.database, room.clock);
    const agents = Array.from({ length: 6 }, (_, index) => agent(String(index), '*'));
    const claimed = await Promise.all(
      agents.flatMap((each) => [room.claim(each, { capacity: 10 }), other.claim(each, { capacity: 10 })]),
    );
    // Where the replicas got in each other's way, some jobs are left for the next claim.
    const rest = await room.claim(PLATFORM_AGENT, { capacity: 100 });
    const ids = idsOf([...claimed.flat(), ...rest]);
    expect(ids.toSorted()).toEqual(hex(added).toSorted());
    await other.dispatcher.stop();
  });

  it('serves lanes that the labels match, registered ones before claimed ones', async () => {
    await room.add({ requires: 'gpu=true, region in (eu, us)' });
    const plain = agent('x', '*');
    const wrong = agent('y', '*', { gpu: 'false' });
    const labels = { gpu: 'true', region: 'us' };
    expect(await room.claim(plain)).toEqual([]);
    expect(await room.claim(wrong, { labels })).toEqual([]);
    expect(await room.claim(plain, { labels })).toHaveLength(1);
  });

  it('finds the first of more lanes than an index merges, for one job and for many', async () => {
    const requests = Array.from({ length: 250 }, (_, index) => ({
      type: 'scan',
      pool: 'platform' as const,
      requires: `n!=${index}`,
      priority: index % 100,
    }));
    await room.enqueue.enqueue(ADMIN, requests);
    const ranked = await room.collection.documents.find().sort({ rank: 1, _id: 1 }).toArray();
    const first = await room.claim(PLATFORM_AGENT);
    const rest = await room.claim(PLATFORM_AGENT, { capacity: 300 });
    expect([...first, ...rest].map(({ id }) => id)).toEqual(hex(ranked));
  });

  it('gives no more payload in one answer than fits, and the rest with the next claim', async () => {
    await room.add({ payload: 'x'.repeat(1_000_000) }, 10);
    await room.add({}, 5);
    const claims = [
      await room.claim(PLATFORM_AGENT, { capacity: 100 }),
      await room.claim(PLATFORM_AGENT, { capacity: 100 }),
    ];
    expect(claims.map((jobs) => jobs.length)).toEqual([8, 7]);
    expect(claims.flat().filter(({ payload }) => String(payload).length === 1_000_000)).toHaveLength(10);
  });

  it('keeps the pools and tenants apart', async () => {
    await room.tenants.service.create(ADMIN, { name: 'acme' });
    const [ofTenant] = await room.add({ pool: 'tenant', tenantId: 'acme' });
    const [ofPlatform] = await room.add({ pool: 'platform', tenantId: 'acme' });
    expect(await room.claim(agent('d', 'default'))).toEqual([]);
    expect(idsOf(await room.claim(agent('p', '*'), { capacity: 10 }))).toEqual([ofPlatform?._id.toHexString()]);
    expect(idsOf(await room.claim(agent('a', 'acme'), { capacity: 10 }))).toEqual([ofTenant?._id.toHexString()]);
  });

  it('gives a repeated claim the same jobs with a token that works; the lost one does not', async () => {
    await room.add({}, 3);
    const request = { capacity: 2, claimId: 'again' };
    const lost = await room.claim(PLATFORM_AGENT, request);
    const again = await room.claim(PLATFORM_AGENT, request);
    expect(idsOf(again)).toEqual(idsOf(lost));
    expect(again.map(({ attempt }) => attempt)).toEqual([1, 1]);
    const id = again[0]?.id ?? '';
    await expect(room.reports.start(PLATFORM_AGENT, id, lost[0]?.lease.token ?? '')).rejects.toMatchObject({
      code: 'job.lease_lost',
    });
    await room.reports.start(PLATFORM_AGENT, id, again[0]?.lease.token ?? '');
    expect(await room.claim(agent('q', '*'), request)).toHaveLength(1);
  });

  it('gives a claim that is repeated before its first answer no more than it asked for', async () => {
    await room.add({}, 5);
    const request = { capacity: 1, claimId: 'at once' };
    await Promise.all([room.claim(PLATFORM_AGENT, request), room.claim(PLATFORM_AGENT, request)]);
    const held = await room.collection.documents.find({ state: 'claimed' }).toArray();
    expect(held).toHaveLength(1);
    expect(idsOf(await room.claim(PLATFORM_AGENT, request))).toEqual(hex(held));
  });

  it('takes a claim up again at once that is repeated as soon as it was answered', async () => {
    await room.add({}, 40);
    for (let turn = 0; turn < 20; turn += 1) {
      const request = { capacity: 1 + (turn % 2), claimId: `turn-${turn}` };
      const first = await room.claim(PLATFORM_AGENT, request);
      expect(idsOf(await room.claim(PLATFORM_AGENT, request))).toEqual(idsOf(first));
    }
  });

  it('gives an agent that is being drained what it has, and nothing more', async () => {
    await room.add({}, 2);
    const [held] = await room.claim(PLATFORM_AGENT, { claimId: 'before' });
    const drained = { ...PLATFORM_AGENT, schedulable: false };
    expect(await room.claim(drained)).toEqual([]);
    expect(idsOf(await room.claim(drained, { claimId: 'before' }))).toEqual([held?.id]);
  });
});

describe('a claim that waits', () => {
  it('is answered as soon as a job is enqueued', async () => {
    const waiting = room.claim(PLATFORM_AGENT, { waitMs: 30_000, capacity: 5 });
    await parked(1);
    const [added] = await room.add();
    expect(idsOf(await waiting)).toEqual([added?._id.toHexString()]);
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('finds by the slow poll what another replica took in', async () => {
    const other = makeJobs(room.database, room.clock);
    await room.dispatcher.start();
    const waiting = room.claim(PLATFORM_AGENT, { waitMs: 30_000 });
    await parked(1);
    const [added] = await other.add();
    await room.clock.advance(2_000);
    expect(idsOf(await waiting)).toEqual([added?._id.toHexString()]);
  });

  it('is answered empty when its time is over, when its caller goes, and when it is repeated', async () => {
    const late = room.claim(PLATFORM_AGENT, { waitMs: 500 });
    await parked(1);
    await room.clock.advance(500);
    expect(await late).toEqual([]);

    const caller = new AbortController();
    const left = room.claim(PLATFORM_AGENT, { waitMs: 500 }, caller.signal);
    await parked(1);
    caller.abort();
    expect(await left).toEqual([]);

    const first = room.claim(PLATFORM_AGENT, { waitMs: 500, claimId: 'twice' });
    await parked(1);
    const second = room.claim(PLATFORM_AGENT, { waitMs: 500, claimId: 'twice' });
    expect(await first).toEqual([]);
    await room.add();
    expect(await second).toHaveLength(1);
  });

  it('is not parked beyond the bound, and answered empty at the drain', async () => {
    const small = makeJobs(room.database, room.clock, { jobs: { maxParkedClaims: 1 } });
    const waiting = small.claim(agent('1', '*'), { waitMs: 30_000 });
    await settle();
    expect(await small.claim(agent('2', '*'), { waitMs: 30_000 })).toEqual([]);
    await small.dispatcher.stop();
    expect(await waiting).toEqual([]);
  });

  it('is refused during the drain, with the end of its connection, and gets no job', async () => {
    const draining = makeJobs(room.database, room.clock);
    await room.add();
    const refusal = { code: 'service.draining', status: 503, headers: { 'Retry-After': '1', Connection: 'close' } };
    draining.readiness.state = 'draining';
    await expect(draining.claim(PLATFORM_AGENT, { waitMs: 30_000 })).rejects.toMatchObject(refusal);
    draining.readiness.state = 'ready';
    await draining.dispatcher.stop();
    await expect(draining.claim(PLATFORM_AGENT)).rejects.toMatchObject(refusal);
    expect(await room.collection.documents.countDocuments({ state: 'queued' })).toBe(1);
  });

  /** Resolves when that many claims wait and their first look is over. */
  async function parked(count: number): Promise<void> {
    for (const deadline = performance.now() + 4_000; performance.now() < deadline;) {
      if (room.dispatcher.parkedClaims === count) return;
      await settle(1);
    }
    throw new Error('the claims were not parked');
  }
});
