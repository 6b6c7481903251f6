import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { ADMIN, type TenantRoom, openTenantRoom } from '../../test/support/tenant-room.js';
import type { Principal } from '../auth/principal.js';

const ACME_ADMIN: Principal = { kind: 'user', id: 'bob', role: 'admin', tenantId: 'acme' };
const MINUTE = 60_000;

let room: TenantRoom;
beforeAll(async () => {
  room = await openTenantRoom();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.repository.collection.deleteMany({ name: { $ne: 'default' } });
  await room.repository.collection.updateMany({}, { $set: { clocks: {} } });
  room.bus.events.length = 0;
});

describe('TenantsService', () => {
  it('always has the default tenant, which cannot be deleted', async () => {
    const { items } = await room.service.list(ADMIN, { limit: 10, name: ['default'] });
    expect(items).toMatchObject([{ name: 'default', plan: 'free', limits: { queued: null, running: null } }]);
    await expect(room.service.delete(ADMIN, items[0]?.id ?? '')).rejects.toMatchObject({ code: 'tenant.in_use' });
    expect(await room.service.exists('default')).toBe(true);
  });

  it('creates, changes by version and deletes, telling each on the bus', async () => {
    const created = await room.service.create(ADMIN, {
      name: 'acme',
      labels: { region: 'eu' },
      limits: { running: 5 },
    });
    expect(created).toMatchObject({ plan: 'free', limits: { queued: null, running: 5 }, version: 1, createdBy: 'ada' });
    const updated = await room.service.update(ADMIN, created.id, { version: 1, plan: 'pro', limits: { queued: 9 } });
    expect(updated).toMatchObject({ plan: 'pro', limits: { queued: 9, running: 5 }, version: 2 });
    expect(await room.service.planOf('acme')).toMatchObject({ name: 'pro', base: 750, weight: 3 });
    expect(await room.service.limitsOf('acme')).toEqual({ queued: 9, running: 5 });
    await expect(room.service.update(ADMIN, created.id, { version: 1, plan: 'team' })).rejects.toMatchObject({
      code: 'resource.version_conflict',
      details: { current: { version: 2 } },
    });
    await room.service.delete(ADMIN, created.id);
    await expect(room.service.get(ADMIN, created.id)).rejects.toMatchObject({ code: 'resource.not_found' });
    expect(room.bus.of('tenant.changed').map(({ change }) => change)).toEqual(['created', 'updated', 'deleted']);
    expect(room.bus.events.map(({ options }) => options.tombstone)).toEqual([false, false, true]);
  });

  it('refuses a taken name, an unknown plan and admins of one tenant', async () => {
    const acme = await room.service.create(ADMIN, { name: 'acme' });
    await expect(room.service.create(ADMIN, { name: 'acme' })).rejects.toMatchObject({ code: 'resource.name_taken' });
    await expect(room.service.create(ADMIN, { name: 'x', plan: 'gold' })).rejects.toMatchObject({
      errors: [{ path: 'plan', message: 'is no plan; there are free, team, pro, enterprise' }],
    });
    const forbidden = { code: 'auth.forbidden' };
    await expect(room.service.create(ACME_ADMIN, { name: 'mine' })).rejects.toMatchObject(forbidden);
    await expect(room.service.update(ACME_ADMIN, acme.id, { version: 1, plan: 'pro' })).rejects.toMatchObject(
      forbidden,
    );
    await expect(room.service.delete(ACME_ADMIN, acme.id)).rejects.toMatchObject(forbidden);
  });

  it('shows a tenant itself only', async () => {
    const acme = await room.service.create(ADMIN, { name: 'acme' });
    const other = await room.service.create(ADMIN, { name: 'other' });
    const { items } = await room.service.list(ACME_ADMIN, { limit: 10 });
    expect(items.map(({ name }) => name)).toEqual(['acme']);
    expect(await room.service.get(ACME_ADMIN, acme.id)).toMatchObject({ name: 'acme' });
    await expect(room.service.get(ACME_ADMIN, other.id)).rejects.toMatchObject({ code: 'resource.not_found' });
  });

  it('keeps a tenant that is in use, and takes jobs of it again afterwards', async () => {
    let uses: string | null = '2 unfinished jobs';
    const forgotten: string[] = [];
    room.service.registerUsage({
      inUse: async (name) => {
        expect(await room.clocks.tick(name, 'tenant', 1)).toBeNull();
        return uses;
      },
      forget: async (name) => void forgotten.push(name),
    });
    const { id } = await room.service.create(ADMIN, { name: 'acme' });
    await expect(room.service.delete(ADMIN, id)).rejects.toMatchObject({
      code: 'tenant.in_use',
      detail: 'the tenant acme still has 2 unfinished jobs',
    });
    expect(await room.clocks.tick('acme', 'tenant', 1)).not.toBeNull();
    uses = null;
    await room.service.delete(ADMIN, id);
    expect(forgotten).toEqual(['acme']);
    expect(await room.service.exists('acme')).toBe(false);
  });

  it('leaves nothing behind that came in while much was removed', async () => {
    const jobs: string[] = [];
    const inUseAfterwards = { code: 'tenant.in_use' };
    const late = { isUnfinished: true, forgets: 0 };
    room.service.registerUsage({
      inUse: async () => (jobs.length > 0 && late.isUnfinished ? '1 unfinished job' : null),
      forget: async (name) => {
        late.forgets += 1;
        jobs.length = 0;
        if (late.forgets > 3) return;
        await room.clock.advance(2 * MINUTE);
        if (await room.clocks.tick(name, 'tenant', 1)) jobs.push('late');
      },
    });
    const { id } = await room.service.create(ADMIN, { name: 'acme' });
    await expect(room.service.delete(ADMIN, id)).rejects.toMatchObject(inUseAfterwards);
    expect(await room.service.exists('acme')).toBe(true);
    late.isUnfinished = false;
    await room.service.delete(ADMIN, id);
    expect([jobs, late.forgets, await room.service.exists('acme')]).toEqual([[], 4, false]);
  });
});

describe('VirtualClocks', () => {
  const create = (name: string, plan: string) => room.service.create(ADMIN, { name, plan });
  const tick = async (name: string, count: number, pool: 'tenant' | 'platform' = 'tenant') => {
    const ticket = await room.clocks.tick(name, pool, count);
    if (!ticket) throw new Error('no ticket');
    return ticket;
  };

  it('starts at now, moves on by cost ÷ weight, and each pool apart', async () => {
    await create('acme', 'team');
    const now = room.clock.now();
    const first = await tick('acme', 3);
    expect([0, 1, 2].map((k) => first.startOf(k) - now)).toEqual([0, 500, 1_000]);
    expect((await tick('acme', 1)).startOf(0) - now).toBe(1_500);
    expect((await tick('acme', 1, 'platform')).startOf(0) - now).toBe(0);
  });

  it('falls back to now once its lead is over', async () => {
    await create('acme', 'free');
    await tick('acme', 5);
    await room.clock.advance(MINUTE);
    expect((await tick('acme', 1)).startOf(0)).toBe(room.clock.now());
  });

  it('is never more than the cap ahead, also when the server jumps back', async () => {
    await create('acme', 'free');
    const now = room.clock.now();
    const big = await tick('acme', 10_000);
    expect(big.startOf(9_999) - now).toBe(10 * MINUTE);
    expect((await tick('acme', 1)).startOf(0) - now).toBe(10 * MINUTE);
    const { clocks } = (await room.repository.findByName('acme')) ?? {};
    await room.repository.collection.updateOne(
      { name: 'acme' },
      { $set: { 'clocks.tenant.next': (clocks?.tenant?.next ?? 0) + 60 * MINUTE } },
    );
    expect((await tick('acme', 1)).startOf(0) - now).toBe(10 * MINUTE);
  });

  it('gives no two of many at once the same place', async () => {
    await create('acme', 'free');
    const now = room.clock.now();
    const tickets = await Promise.all(Array.from({ length: 20 }, () => tick('acme', 2)));
    const starts = tickets.flatMap((ticket) => [ticket.startOf(0), ticket.startOf(1)]).toSorted((a, b) => a - b);
    expect(starts).toEqual(Array.from({ length: 40 }, (_, k) => now + k * 1_000));
  });

  it('lets go of a lead, unless the clock has moved meanwhile', async () => {
    await create('acme', 'free');
    await tick('acme', 60);
    const tenants = await room.repository.ofNames(['acme', 'default']);
    const [lead] = room.clocks.leads(tenants, new Date(room.clock.now()));
    expect(lead).toMatchObject({ tenantId: 'acme', pool: 'tenant', leadMs: MINUTE });
    if (!lead) throw new Error('no lead');
    await tick('acme', 1);
    expect(await room.clocks.release(lead)).toBe(false);
    const [moved] = room.clocks.leads(await room.repository.ofNames(['acme']), new Date(room.clock.now()));
    expect(moved && (await room.clocks.release(moved))).toBe(true);
    expect((await tick('acme', 1)).startOf(0)).toBe(room.clock.now());
  });

  it('knows no tenant that does not exist', async () => {
    expect(await room.clocks.tick('nobody', 'tenant', 1)).toBeNull();
    expect(await room.repository.findByName('nobody')).toBeNull();
  });
});
