import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type JobRoom,
  HELD,
  NEVER,
  PLATFORM_AGENT,
  makeJobs,
  openJobRoom,
  hexOf,
} from '../../../test/support/job-room.js';
import { ADMIN } from '../../../test/support/tenant-room.js';
import { rankOf } from '../rank.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

let room: JobRoom;
beforeAll(async () => {
  room = await openJobRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const tenant = (name: string, plan: string) => room.tenants.service.create(ADMIN, { name, plan });
const rerank = (replica: Pick<JobRoom, 'order'> = room) => replica.order.rerank(NEVER, HELD);
const ranks = async (): Promise<number[]> =>
  (await room.collection.documents.find().sort({ _id: 1 }).toArray()).map(({ rank }) => rank);

describe('queue priority', () => {
  it('writes nothing while no plan changes, as time passes', async () => {
    await tenant('acme', 'team');
    await room.add({ tenantId: 'acme' }, 30);
    await room.add({}, 30);
    const before = await room.collection.documents.find().toArray();
    for (let minute = 0; minute < 3; minute += 1) {
      await room.clock.advance(MINUTE);
      expect(await rerank()).toMatchObject({ changed: 0 });
    }
    expect(await room.collection.documents.find().toArray()).toEqual(before);
  });

  it('ranks waiting jobs of a changed plan again, those only, and once', async () => {
    const { id } = await tenant('acme', 'free');
    const [job] = await room.add({ tenantId: 'acme', priority: 7 }, 3);
    await room.add({}, 2);
    await room.add({ tenantId: 'acme', notBefore: new Date(room.clock.now() + MINUTE).toISOString() });
    await room.claim(PLATFORM_AGENT);
    const before = await ranks();
    await rerank();
    await room.tenants.service.update(ADMIN, id, { version: 1, plan: 'enterprise' });
    const processedBefore = (await rerank()).changed;
    expect(processedBefore).toBe(3);
    const after = await ranks();
    const moved = after.map((rank, index) => rank - (before[index] ?? 0));
    // 750 points are worth 50 minutes. The first job is with an agent by now, two are of another tenant.
    expect(moved).toEqual([0, -50 * MINUTE, -50 * MINUTE, 0, 0, -50 * MINUTE]);
    expect(after[1]).toBe(rankOf((job?.virtualStart ?? 0) + SECOND, 1_007, 15));
    expect((await rerank()).changed).toBe(0);
    expect((await rerank()).processed).toBe(5);
  });

  it('finds by and by what is wrong for no known reason', async () => {
    await room.add({}, 10);
    await rerank();
    await rerank();
    await room.collection.documents.updateMany({}, { $inc: { rank: 5 } });
    expect((await rerank()).changed).toBe(10);
    expect((await rerank()).changed).toBe(0);
  });

  it('ranks all again when the bonus is configured anew', async () => {
    await room.add({ priority: 10 }, 4);
    await rerank();
    const other = makeJobs(room.database, room.clock, { tenants: { priorityBonus: 30 } });
    expect((await rerank(other)).changed).toBe(4);
    expect(await ranks()).toEqual([0, 1, 2, 3].map((k) => rankOf(room.clock.now() + k * SECOND, 260, 30)));
  });

  it('tells how long is waited and how far a tenant is ahead, and lets go of leads that nobody has any more', async () => {
    await room.add({}, 120);
    await room.clock.advance(30 * SECOND);
    expect(await rerank()).toMatchObject({ oldestWaitMs: 30 * SECOND, longestLeadMs: 90 * SECOND, leadsReleased: 0 });
    const figures = ['crowsnest_job_oldest_wait_seconds 30\n', 'crowsnest_tenant_lead_seconds 90\n'];
    for (const figure of figures) expect(await room.registry.metrics()).toContain(figure);
    room.order.forget();
    for (const figure of figures) expect(await room.registry.metrics()).not.toContain(figure);
    for (let batch = 0; batch < 2; batch += 1) await room.claim(PLATFORM_AGENT, { capacity: 100 });
    expect(await rerank()).toMatchObject({ oldestWaitMs: 0, longestLeadMs: 0, leadsReleased: 1 });
    const [job] = await room.add();
    expect(job?.virtualStart).toBe(room.clock.now());
  });
});

describe('fairness between tenants', () => {
  const PLANS = [
    { name: 'free', weight: 1 },
    { name: 'team', weight: 2 },
    { name: 'pro', weight: 3 },
    { name: 'enterprise', weight: 4 },
  ];
  // Equal points, so that the weights alone decide.
  const settings = { plans: PLANS.map((plan) => ({ ...plan, base: 500 })) };

  it('holds the bound of rank.ts for queues of any length', async () => {
    const fair = makeJobs(room.database, room.clock, { tenants: settings });
    const queue = fc.record({ plan: fc.constantFrom(...PLANS), count: fc.integer({ min: 1, max: 120 }) });
    let round = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(queue, { minLength: 2, maxLength: 4 }), async (queues) => {
        await room.clear();
        round += 1;
        const tenants = queues.map(({ plan, count }, index) => ({ ...plan, count, tenantId: `t${round}-${index}` }));
        for (const { tenantId, name, count } of tenants) {
          await room.tenants.service.create(ADMIN, { name: tenantId, plan: name });
          await fair.add({ tenantId }, count);
        }
        const order = await room.collection.documents
          .find({ state: 'queued' }, { projection: { tenantId: 1 } })
          .sort({ rank: 1, _id: 1 })
          .toArray();
        const served = new Map(tenants.map(({ tenantId }) => [tenantId, 0]));
        for (const { tenantId } of order) {
          served.set(tenantId, (served.get(tenantId) ?? 0) + 1);
          const waiting = tenants.filter((each) => (served.get(each.tenantId) ?? 0) < each.count);
          for (const a of waiting) {
            for (const b of waiting) {
              const share = (each: typeof a): number => (served.get(each.tenantId) ?? 0) / each.weight;
              const bound = 1 / Math.min(a.weight, b.weight) + 1 / Math.max(a.weight, b.weight);
              expect(Math.abs(share(a) - share(b))).toBeLessThan(bound + 1e-9);
            }
          }
        }
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  it('puts one job of a small tenant right behind the first of a thousand of a big one', async () => {
    await tenant('big', 'free');
    await tenant('small', 'free');
    await room.add({ tenantId: 'big' }, 500);
    await room.add({ tenantId: 'big' }, 500);
    await room.add({ tenantId: 'small' });
    const first = await room.claim(PLATFORM_AGENT, { capacity: 2 });
    expect(first.map(({ tenantId }) => tenantId)).toEqual(['big', 'small']);
  });

  it('starves nobody: a job of the least plan is served within the bound of a steady stream of the most', async () => {
    await tenant('rich', 'enterprise');
    await tenant('poor', 'free');
    const [poor] = await room.add({ tenantId: 'poor' });
    const points = { most: 1_100, own: 250 };
    const boundMs = ((points.most - points.own) * MINUTE) / 15;
    let servedAfterMs = 0;
    for (let minute = 0; minute <= boundMs / MINUTE + 1; minute += 1) {
      // As many come in as are served: without ageing the poor one would never be the first.
      await room.add({ tenantId: 'rich', priority: 100 }, 2);
      const taken = await room.claim(PLATFORM_AGENT, { capacity: 2 });
      if (taken.some(({ id }) => id === hexOf(poor))) {
        servedAfterMs = minute * MINUTE;
        break;
      }
      await room.clock.advance(MINUTE);
    }
    expect(servedAfterMs).toBeGreaterThan(50 * MINUTE);
    expect(servedAfterMs).toBeLessThanOrEqual(boundMs + MINUTE);
  }, 60_000);
});
