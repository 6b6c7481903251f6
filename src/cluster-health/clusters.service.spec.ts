import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Types } from 'mongoose';
import { ADMIN, openClusterHealth } from '../../test/support/cluster-health-room.js';
import type { Principal } from '../auth/principal.js';
import type { ClusterUsage } from './cluster-usage.js';
import type { Cluster } from './cluster.js';

type Room = Awaited<ReturnType<typeof openClusterHealth>>;

describe('ClustersService', () => {
  const operator: Principal = { ...ADMIN, id: 'olga', role: 'operator' };
  const ofBlue: Principal = { ...ADMIN, id: 'ben', tenantId: 'blue' };
  let room: Room;
  beforeAll(async () => {
    room = await openClusterHealth();
  });
  afterAll(() => room.close());
  beforeEach(async () => {
    room.service.registerUsage(unused);
    await room.model.deleteMany({});
    room.prober.clusters.clear();
    room.prober.checks.length = 0;
    room.events.length = 0;
  });

  const unused: ClusterUsage = { objectsOf: () => Promise.resolve([]), abandon: () => Promise.resolve() };
  const stored = () => room.model.find({}).lean();

  describe('create', () => {
    it('answers with the check, stores it and tells both', async () => {
      room.prober.clusters.set('https://a', { uid: 'uid-1' });
      const cluster = await room.register('a');
      expect(cluster).toMatchObject({
        name: 'a',
        tenantId: 'default',
        server: 'https://a',
        credentialType: 'token',
        uid: 'uid-1',
        reachable: true,
        latencyMs: 12,
        reason: null,
        version: 1,
        createdBy: 'ada',
        metadata: { version: 'v1.36.3', nodes: { total: 1, ready: 1 }, unavailable: {} },
      });
      expect(await room.service.get(ADMIN, cluster.id)).toEqual(cluster);
      expect(room.events.map(({ type }) => type)).toEqual(['cluster.changed', 'cluster.checked']);
    });

    it('stores a cluster that cannot be reached, with the reason', async () => {
      room.prober.clusters.set('https://away', { failure: 'dns' });
      const cluster = await room.register('away');
      expect(cluster).toMatchObject({ reachable: false, latencyMs: null, reason: { code: 'dns' } });
      expect(await stored()).toHaveLength(1);
    });

    it('waits no longer than the deadline for a cluster that is silent', async () => {
      room.prober.clusters.set('https://silent', { silent: true });
      const before = room.clock.monotonic();
      expect(await room.register('silent')).toMatchObject({ reachable: false, reason: { code: 'timeout' } });
      expect(room.clock.monotonic() - before).toBeLessThan(room.config.checkTimeoutMs + 2_000);
    });

    it('shows the credential nowhere, and keeps it sealed', async () => {
      const cluster = await room.register('a');
      const [document] = await stored();
      const shown = JSON.stringify([cluster, document, room.events, await room.service.list(ADMIN, { limit: 10 })]);
      expect(shown).not.toContain('secret-of-a');
      expect((await room.service.accessOf(cluster.id)).credential).toEqual({ type: 'token', token: 'secret-of-a' });
    });

    it('refuses a second cluster with the same name', async () => {
      await room.register('a');
      const again = room.service.create(ADMIN, { name: 'a', token: { server: 'https://b', token: 'b' } });
      await expect(again).rejects.toMatchObject({ code: 'resource.name_taken' });
      expect(room.prober.checks).toHaveLength(1);
    });

    it('refuses the same endpoint and the same identity, naming the first', async () => {
      room.prober.clusters.set('https://a', { uid: 'uid-1' });
      room.prober.clusters.set('https://alias', { uid: 'uid-1' });
      const first = await room.register('a');
      const naming = { code: 'cluster.already_registered', details: { clusterId: first.id, clusterName: 'a' } };
      const byEndpoint = room.service.create(ADMIN, { name: 'b', token: { server: 'https://a', token: 'other' } });
      await expect(byEndpoint).rejects.toMatchObject(naming);
      await expect(room.register('alias')).rejects.toMatchObject(naming);
      expect(await stored()).toHaveLength(1);
    });

    it('lets exactly one of several at the same time win', async () => {
      room.prober.clusters.set('https://x', { uid: 'uid-1' });
      room.prober.clusters.set('https://y', { uid: 'uid-1' });
      const outcomes = await Promise.allSettled([room.register('x'), room.register('y'), room.register('x')]);
      expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
      expect(await stored()).toHaveLength(1);
    });

    it('gives another tenant the same name and the same cluster', async () => {
      room.prober.clusters.set('https://a', { uid: 'uid-1' });
      await room.register('a');
      expect(await room.register('a', ofBlue)).toMatchObject({ tenantId: 'blue' });
      expect((await room.service.list(ofBlue, { limit: 10 })).items).toHaveLength(1);
    });

    it('refuses an address that egress does not allow, and stores nothing', async () => {
      room.prober.clusters.set('https://metadata', { failure: 'egress' });
      await expect(room.register('metadata')).rejects.toMatchObject({ code: 'egress.refused' });
      expect(await stored()).toHaveLength(0);
    });

    it('refuses another tenant than one’s own', async () => {
      const foreign = room.service.create(ofBlue, {
        name: 'a',
        tenantId: 'red',
        token: { server: 'https://a', token: 'a' },
      });
      await expect(foreign).rejects.toMatchObject({ code: 'request.invalid', errors: [{ path: 'tenantId' }] });
    });
  });

  describe('another tenant’s cluster', () => {
    it('does not exist', async () => {
      const { id } = await room.register('a');
      const notFound = { code: 'resource.not_found' };
      await expect(room.service.get(ofBlue, id)).rejects.toMatchObject(notFound);
      await expect(room.service.update(ofBlue, id, { version: 1, name: 'b' })).rejects.toMatchObject(notFound);
      await expect(room.service.check(ofBlue, id, false)).rejects.toMatchObject(notFound);
      await expect(room.service.delete(ofBlue, id, { abandon: true })).rejects.toMatchObject(notFound);
      await expect(room.historyService.of(ofBlue, id, { limit: 1 })).rejects.toMatchObject(notFound);
      expect(await stored()).toHaveLength(1);
    });
  });

  describe('update', () => {
    let cluster: Cluster;
    beforeEach(async () => {
      cluster = await room.register('a');
    });

    it('changes name and labels without a check', async () => {
      const updated = await room.service.update(operator, cluster.id, { version: 1, name: 'b', labels: { env: 'x' } });
      expect(updated).toMatchObject({ name: 'b', labels: { env: 'x' }, version: 2 });
      expect(room.prober.checks).toHaveLength(1);
    });

    it('refuses a stale version with the current one', async () => {
      await room.service.update(operator, cluster.id, { version: 1, name: 'b' });
      await expect(room.service.update(operator, cluster.id, { version: 1, name: 'c' })).rejects.toMatchObject({
        code: 'resource.version_conflict',
        details: { currentVersion: 2 },
      });
    });

    it('checks at once when the namespaces change', async () => {
      const change = room.service.update(operator, cluster.id, { version: 1, namespaces: ['default'] });
      const updated = await room.finish(change);
      expect(updated.metadata.namespaces).toEqual({ total: 1, names: ['default'] });
      expect(room.prober.checks).toHaveLength(2);
    });

    it.each([{ server: 'https://evil' }, { caData: 'another' }, { tlsServerName: 'evil' }])(
      'sends the stored credential to no other endpoint: %j',
      async (change) => {
        const moved = room.service.update(ADMIN, cluster.id, { version: 1, ...change });
        await expect(moved).rejects.toMatchObject({ code: 'cluster.credential_required' });
        expect(room.prober.checks).toHaveLength(1);
        expect(await room.service.get(ADMIN, cluster.id)).toEqual(cluster);
      },
    );

    it('moves to another endpoint with the credential, for admins', async () => {
      const change = { version: 1, server: 'https://new', token: 'new-secret' };
      await expect(room.service.update(operator, cluster.id, change)).rejects.toMatchObject({ code: 'auth.forbidden' });
      const updated = await room.finish(room.service.update(ADMIN, cluster.id, change));
      expect(updated).toMatchObject({ server: 'https://new', reachable: true, version: 2 });
      expect(room.prober.checks.at(-1)?.credential).toEqual({ type: 'token', token: 'new-secret' });
    });

    it('sends nothing after the server was changed in the database', async () => {
      await room.model.collection.updateOne({}, { $set: { server: 'https://evil' } });
      const checked = await room.finish(room.service.check(ADMIN, cluster.id, false));
      expect(checked).toMatchObject({ reachable: false, reason: { code: 'credential-mismatch' } });
      await expect(room.service.accessOf(cluster.id)).rejects.toMatchObject({ code: 'cluster.credential_required' });
      expect(room.prober.checks).toHaveLength(1);
    });

    it('does not open the credential of another cluster', async () => {
      const other = await room.register('b');
      const { credential, server } = (await stored()).find(({ name }) => name === 'a') ?? {};
      await room.model.collection.updateOne({ name: 'b' }, { $set: { credential, server } });
      await expect(room.service.accessOf(other.id)).rejects.toMatchObject({ code: 'cluster.credential_required' });
    });
  });

  describe('replaceCredentials', () => {
    it('replaces the credential whole and keeps the endpoint', async () => {
      const { id } = await room.register('a');
      room.prober.clusters.set('https://a', { token: 'rotated' });
      const rotation = room.service.replaceCredentials(ADMIN, id, { version: 1, token: { token: 'rotated' } });
      expect(await room.finish(rotation)).toMatchObject({ reachable: true, server: 'https://a', version: 2 });
      expect(await room.service.accessOf(id)).toMatchObject({
        accessVersion: 2,
        credential: { type: 'token', token: 'rotated' },
      });
    });

    it('stores a credential that is not taken, and tells', async () => {
      const { id } = await room.register('a');
      room.prober.clusters.set('https://a', { token: 'good' });
      const rotation = room.service.replaceCredentials(ADMIN, id, { version: 1, token: { token: 'bad' } });
      expect(await room.finish(rotation)).toMatchObject({ reachable: false, reason: { code: 'unauthorized' } });
    });
  });

  describe('check', () => {
    it('is done five times a minute for each principal and cluster', async () => {
      const { id } = await room.register('a');
      const other = await room.register('b');
      const check = (principal: Principal, clusterId: string) =>
        room.finish(room.service.check(principal, clusterId, false));
      for (let time = 0; time < 5; time += 1) await check(operator, id);
      await expect(check(operator, id)).rejects.toMatchObject({
        code: 'request.rate_limited',
        headers: { 'Retry-After': expect.stringMatching(/^[1-9]\d?$/) },
      });
      await expect(check(ofAnother, id)).resolves.toMatchObject({ reachable: true });
      await expect(check(operator, other.id)).resolves.toMatchObject({ reachable: true });
      await room.clock.advance(60_000);
      await expect(check(operator, id)).resolves.toMatchObject({ reachable: true });
    });
    const ofAnother: Principal = { ...operator, id: 'otto' };

    it('fetches metadata when asked, however new it is', async () => {
      const { id } = await room.register('a');
      room.prober.metadataReads.length = 0;
      await room.finish(room.service.check(operator, id, false));
      expect(room.prober.metadataReads).toHaveLength(0);
      await room.finish(room.service.check(operator, id, true));
      expect(room.prober.metadataReads).toHaveLength(1);
    });
  });

  describe('delete', () => {
    const objects = [{ workflowId: 'w', workflowName: 'web', kind: 'Service', namespace: 'default', name: 'web' }];

    it('is refused while workflows have objects in it, naming them', async () => {
      const { id } = await room.register('a');
      room.service.registerUsage({ ...unused, objectsOf: () => Promise.resolve(objects) });
      await expect(room.service.delete(ADMIN, id, { abandon: false })).rejects.toMatchObject({
        code: 'cluster.in_use',
        details: { objects, objectCount: 1 },
      });
      expect(await stored()).toHaveLength(1);
    });

    it('abandons the objects where asked, removes the history and tells', async () => {
      const { id } = await room.register('a');
      let left = objects;
      room.service.registerUsage({
        objectsOf: () => Promise.resolve(left),
        abandon: () => Promise.resolve(void (left = [])),
      });
      await room.service.delete(ADMIN, id, { abandon: true });
      expect(await stored()).toHaveLength(0);
      const samples = room.database.connection.collection('cluster_health_samples');
      expect(await samples.countDocuments({ clusterId: new Types.ObjectId(id) })).toBe(0);
      expect(room.events.at(-1)).toMatchObject({
        type: 'cluster.changed',
        payload: { change: 'deleted', health: null },
      });
    });
  });

  it('lists newest first, by page, name, reachability and labels', async () => {
    room.prober.clusters.set('https://b', { failure: 'refused' });
    for (const name of ['a', 'b', 'c']) await room.register(name);
    const names = async (query: object) =>
      (await room.service.list(ADMIN, { limit: 10, ...query })).items.map(({ name }) => name);
    expect(await names({})).toEqual(['c', 'b', 'a']);
    expect(await names({ reachable: false })).toEqual(['b']);
    expect(await names({ name: ['a', 'c'] })).toEqual(['c', 'a']);
    const page = await room.service.list(ADMIN, { limit: 2 });
    expect(page.items).toHaveLength(2);
    expect(await names({ cursor: page.nextCursor })).toEqual(['a']);
  });
});
