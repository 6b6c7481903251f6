import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ADMIN, openClusterHealth } from '../../test/support/cluster-health-room.js';
import { settle } from '../../test/support/fake-clock.js';

type Room = Awaited<ReturnType<typeof openClusterHealth>>;

describe('ClusterHealthMonitor', () => {
  let room: Room;
  beforeEach(async () => {
    room = await openClusterHealth();
  });
  afterEach(() => room.close());

  /** Advances in small steps, giving the store its time, until the condition holds. */
  async function until(condition: () => boolean | Promise<boolean>, stepMs = 5): Promise<void> {
    const giveUpAt = performance.now() + 10_000;
    while (performance.now() < giveUpAt) {
      if (await condition()) return;
      await room.clock.advance(stepMs);
    }
    throw new Error('it never came to be');
  }
  const checked = (): Promise<number> => room.model.countDocuments({ checkedAt: { $ne: null } });
  /** Lets the period pass and the sweep after it come to its end; for rooms with one cluster. */
  async function sweeps(count: number): Promise<void> {
    for (let sweep = 0; sweep < count; sweep += 1) {
      const before = room.events.length;
      await room.clock.advance(room.config.periodMs);
      await until(() => room.events.length > before);
    }
  }
  const start = (): Promise<void> => room.monitor.start();

  it('checks 200 clusters with never more than 5 at a time', async () => {
    await room.seed(200);
    await start();
    await until(async () => (await checked()) === 200);
    expect(room.prober.mostInFlight).toBe(5);
    expect(new Set(room.prober.checks.map(({ server }) => server)).size).toBe(200);
    expect(await room.model.countDocuments({ reachable: true, latencyMs: 12, kubernetesVersion: 'v1.36.3' })).toBe(200);
  });

  it('never overlaps itself: the next sweep begins a period after the end of the slow one', async () => {
    await room.seed(1);
    const release = room.prober.holdNext('https://c0');
    await start();
    await until(() => room.prober.checks.length === 1);
    await room.clock.advance(10 * room.config.periodMs);
    expect(room.prober.checks).toHaveLength(1);
    release();
    await until(async () => (await checked()) === 1);
    expect(room.prober.checks).toHaveLength(1);
    await until(() => room.prober.checks.length === 2, 10_000);
    expect(room.prober.inFlight).toBeLessThanOrEqual(1);
  });

  it('leaves no other cluster out because of a record that is broken', async () => {
    await room.seed(20);
    await room.model.collection.updateOne({ name: 'c0' }, { $set: { server: 'https://moved' } });
    await start();
    await until(async () => (await checked()) === 20);
    expect(await room.model.countDocuments({ reachable: true })).toBe(19);
    const stored = await room.model.findOne({ name: 'c0' }).lean();
    expect(stored).toMatchObject({ reachable: false, reason: { code: 'credential-mismatch' } });
    expect(room.prober.checks.map(({ server }) => server)).not.toContain('https://moved');
  });

  it('writes nothing for a cluster that was deleted during its check', async () => {
    const { id } = await room.register('doomed');
    room.events.length = 0;
    const release = room.prober.holdNext('https://doomed');
    await start();
    await until(() => room.prober.inFlight === 1);
    await room.service.delete({ tenantId: '*' }, id, { abandon: false });
    release();
    await until(() => room.prober.inFlight === 0);
    await settle(50);
    expect(await room.model.countDocuments({})).toBe(0);
    expect(await room.database.connection.collection('cluster_health_samples').countDocuments()).toBe(0);
    expect(room.events.map(({ type }) => type)).toEqual(['cluster.changed']);
  });

  it('throws the result of a check away that began before the credential was replaced', async () => {
    const { id, version } = await room.register('rotated');
    room.prober.clusters.set('https://rotated', { token: 'new' });
    const release = room.prober.holdNext('https://rotated');
    await start();
    await until(() => room.prober.inFlight === 1);
    const rotation = room.service.replaceCredentials(ADMIN, id, { version, token: { token: 'new' } });
    expect(await room.finish(rotation)).toMatchObject({ reachable: true });
    room.events.length = 0;
    release();
    await until(() => room.prober.inFlight === 0);
    await settle(200);
    expect(await room.model.findById(id).lean()).toMatchObject({ reachable: true, accessVersion: 2, reason: null });
    expect(room.events).toHaveLength(0);
  });

  it('ends checks in progress when it is stopped, and leaves no timer', async () => {
    await room.seed(10);
    for (let index = 0; index < 10; index += 1) room.prober.clusters.set(`https://c${index}`, { silent: true });
    await start();
    await until(() => room.prober.inFlight === 5);
    await room.monitor.stop();
    expect(room.prober.inFlight).toBe(0);
    expect(room.prober.checks).toHaveLength(5);
    expect(room.clock.pendingTimers).toBe(0);
    expect(await checked()).toBe(0);
  });

  it('fetches metadata again only when it is older than ten minutes', async () => {
    await room.register('meta');
    expect(room.prober.metadataReads).toHaveLength(1);
    await start();
    await sweeps(8);
    expect(room.prober.metadataReads).toHaveLength(1);
    await sweeps(4);
    expect(room.prober.metadataReads).toHaveLength(2);
  });

  it('adds each check to the history, and to the sum of its hour', async () => {
    const { id } = await room.register('kept');
    await start();
    await sweeps(3);
    room.prober.clusters.set('https://kept', { failure: 'refused' });
    await sweeps(2);
    const count = await room.database.connection.collection('cluster_health_samples').countDocuments();
    expect(count).toBeGreaterThanOrEqual(6);
    const latest = await room.historyService.of({ tenantId: '*' }, id, { limit: 2 });
    expect(latest).toMatchObject({ resolution: 'check', items: [{ reachableChecks: 0, reason: 'refused' }, {}] });
    const next = await room.historyService.of({ tenantId: '*' }, id, {
      limit: 200,
      cursor: new Date(latest.nextCursor ?? 0),
    });
    expect(next.items).toHaveLength(count - 2);
    const since = new Date(room.clock.now() - 30 * 86_400_000);
    const hourly = await room.historyService.of({ tenantId: '*' }, id, { since, limit: 10 });
    expect(hourly.resolution).toBe('hour');
    expect(hourly.items.reduce((sum, { checks }) => sum + checks, 0)).toBe(count);
    expect(hourly.items[0]).toMatchObject({ latencyMs: 12, minLatencyMs: 12, maxLatencyMs: 12 });
  });

  it('publishes each check with the health that was stored', async () => {
    const { id } = await room.register('told');
    room.prober.clusters.set('https://told', { failure: 'dns' });
    room.events.length = 0;
    await start();
    await until(() => room.events.length > 0);
    const stored = await room.model.findById(id).lean();
    expect(room.events[0]).toMatchObject({
      type: 'cluster.checked',
      coalesceKey: id,
      payload: { clusterId: id, sequence: stored?.sequence, health: { name: 'told', reachable: false } },
    });
    expect(JSON.stringify(room.events)).not.toContain('secret-of');
  });

  it('keeps the credential away from a cluster whose identity is another one, by telling it', async () => {
    room.prober.clusters.set('https://same', { uid: 'uid-1' });
    const { id } = await room.register('same');
    room.prober.clusters.set('https://same', { uid: 'uid-2' });
    await start();
    await until(async () => (await room.model.findById(id).lean())?.reason?.code === 'identity-changed');
    expect(await room.model.findById(id).lean()).toMatchObject({ uid: 'uid-1', reachable: true });
  });

  it('tells of a cluster that turns out to be registered already', async () => {
    room.prober.clusters.set('https://first', { uid: 'uid-1' });
    room.prober.clusters.set('https://second', { failure: 'refused' });
    await room.register('first');
    const { id } = await room.register('second');
    room.prober.clusters.set('https://second', { uid: 'uid-1' });
    await start();
    await until(async () => (await room.model.findById(id).lean())?.reason?.code === 'already-registered');
    const stored = await room.model.findById(id).lean();
    expect(stored).toMatchObject({ uid: null, reachable: true });
    expect(stored?.reason?.message).toContain('"first"');
  });

  it('shows in the metrics which clusters are up', async () => {
    await room.register('alive');
    room.prober.clusters.set('https://dead', { failure: 'refused' });
    await room.register('dead');
    await start();
    await until(async () => (await room.registry.metrics()).includes('sweep_duration_seconds_count 1'));
    const metrics = await room.registry.metrics();
    expect(metrics).toContain('crowsnest_cluster_up{tenant="default",cluster="alive"} 1');
    expect(metrics).toContain('crowsnest_cluster_up{tenant="default",cluster="dead"} 0');
  });
});
