import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type AgentRoom, openAgentRoom } from '../../test/support/agent-room.js';
import { ADMIN } from '../../test/support/tenant-room.js';
import type { Principal } from '../auth/index.js';
import { Heartbeat } from './agent-protocol.dto.js';

const OPERATOR: Principal = { kind: 'user', id: 'oda', role: 'operator', tenantId: 'default' };
const MINUTE = 60_000;

let room: AgentRoom;
beforeAll(async () => {
  room = await openAgentRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const principalOf = (agent: { id: string; tenantId: string }): Principal => ({
  kind: 'agent',
  role: 'operator',
  id: agent.id,
  tenantId: agent.tenantId,
});

describe('credentials of agents', () => {
  it('are replaced one by one: the former holds for the grace, and no third lives', async () => {
    const { agent, credential: first } = await room.addAgent('scanner');
    const second = await room.service.issueCredential(ADMIN, agent.id, {});
    expect(second.formerEndsInMs).toBe(10 * MINUTE);
    for (const each of [first, second.credential])
      expect(await room.authority.find(each)).toMatchObject({ id: agent.id });
    const third = await room.service.issueCredential(principalOf(agent), agent.id, { graceMs: MINUTE });
    expect(await room.authority.find(first)).toBe('unknown');
    expect(await room.authority.find(second.credential)).toMatchObject({ id: agent.id });
    await room.clock.advance(MINUTE);
    expect(await room.authority.find(second.credential)).toBe('over');
    expect(await room.authority.find(third.credential)).toMatchObject({ id: agent.id });
    const last = await room.service.issueCredential(ADMIN, agent.id, { graceMs: 0 });
    expect(await room.authority.find(third.credential)).toBe('over');
    expect(await room.authority.find(last.credential)).toMatchObject({ id: agent.id });
    expect((await room.service.get(ADMIN, agent.id)).credentials).toHaveLength(2);
  });

  it('are the same to nobody for an id that does not exist, one of another agent, and a secret that is wrong', async () => {
    const [one, other] = [await room.addAgent('one'), await room.addAgent('other')];
    const [id, secret] = one.credential.split('.');
    for (const guess of [
      `csa_${'f'.repeat(24)}-00000000.${secret}`,
      `${other.credential.split('.')[0]}.${secret}`,
      `${id}.${'a'.repeat(43)}`,
    ]) {
      expect(await room.authority.find(guess)).toBe('unknown');
    }
    const indexes = await room.database.connection.db?.collection('agents').indexes();
    expect(indexes?.map(({ key }) => key)).toContainEqual({ 'credentials.digest': 1 });
  });

  it('never hold for longer by another rotation', async () => {
    const { agent, credential } = await room.addAgent('scanner');
    await room.service.issueCredential(ADMIN, agent.id, { graceMs: MINUTE });
    const [former] = (await room.service.get(ADMIN, agent.id)).credentials;
    expect(Date.parse(former?.endsAt ?? '')).toBe(room.clock.now() + MINUTE);
    expect(await room.authority.find(credential)).toMatchObject({ id: agent.id });
  });

  it('lock no agent out whose answers are lost, however often it asks again', async () => {
    const { agent, credential } = await room.addAgent('scanner');
    await room.authority.find(credential);
    for (let lost = 0; lost < 5; lost += 1) await room.service.issueCredential(principalOf(agent), agent.id, {});
    expect(await room.authority.find(credential)).toMatchObject({ id: agent.id });
    const { credential: told } = await room.service.issueCredential(principalOf(agent), agent.id, {});
    expect(await room.authority.find(told)).toMatchObject({ id: agent.id });
    expect(await room.authority.find(credential)).toMatchObject({ id: agent.id });
  });

  it('are unknown with another secret, another id, or the id of another agent', async () => {
    const { credential, agent } = await room.addAgent('scanner');
    const other = await room.addAgent('other');
    const [keyId = '', secret = ''] = credential.slice(4).split('.');
    const otherSecret = other.credential.split('.')[1] ?? '';
    for (const text of [
      `csa_${keyId}.${otherSecret}`,
      `csa_${other.agent.id}${keyId.slice(24)}.${secret}`,
      `csa_${agent.id}-00000000.${secret}`,
      `csa_${agent.id}.${secret}`,
      `csa_${keyId}.`,
      'csa_',
    ]) {
      expect(await room.authority.find(text)).toBe('unknown');
    }
  });

  it('end at once when their agent is revoked, and stay ended when it is active again', async () => {
    const { agent, credential } = await room.addAgent('scanner');
    await room.beat(agent);
    await expect(room.service.update(OPERATOR, agent.id, { version: 1, status: 'revoked' })).rejects.toMatchObject({
      code: 'auth.forbidden',
    });
    const revoked = await room.service.update(ADMIN, agent.id, { version: 1, status: 'revoked' });
    expect(revoked).toMatchObject({ status: 'revoked', health: 'offline', version: 2 });
    expect(await room.authority.find(credential)).toBe('over');
    expect(room.leases.released).toEqual([[agent.id, 'agent_removed']]);
    expect(room.audit.entries.map(({ action }) => action)).toEqual(['bootstrap-token.use', 'agent.revoke']);
    await expect(room.service.issueCredential(ADMIN, agent.id, {})).rejects.toMatchObject({ code: 'agent.revoked' });
    await room.service.update(ADMIN, agent.id, { version: 2, status: 'active' });
    expect(await room.authority.find(credential)).toBe('over');
    const { credential: fresh } = await room.service.issueCredential(ADMIN, agent.id, {});
    expect(await room.authority.find(fresh)).toMatchObject({ id: agent.id });
  });

  it('are made by agents for themselves only, and never without the audit log', async () => {
    const { agent } = await room.addAgent('scanner');
    const other = await room.addAgent('other');
    const foreign = room.service.issueCredential(principalOf(other.agent), agent.id, {});
    await expect(foreign).rejects.toMatchObject({ code: 'resource.not_found' });
    room.audit.isAway = true;
    await expect(room.service.issueCredential(principalOf(agent), agent.id, {})).rejects.toMatchObject({
      code: 'service.unavailable',
    });
    expect((await room.service.get(ADMIN, agent.id)).credentials).toHaveLength(1);
  });
});

describe('heartbeats', () => {
  it('make the agent online, tell that once, and change nothing that admins change', async () => {
    const { agent } = await room.addAgent('scanner');
    await room.clock.advance(5_000);
    const beat = Heartbeat.parse({
      jobs: [{ id: 'a'.repeat(24), token: 't', later: true }],
      load: 0.4,
      version: '$x',
      later: {},
    });
    const answer = await room.heartbeats.beat(principalOf(agent), beat);
    expect(answer).toMatchObject({ renewed: [{ id: 'a'.repeat(24), expiresInMs: 60_000 }], lost: [], cancel: [] });
    await room.clock.advance(1_000);
    await room.beat(agent);
    const now = await room.service.get(ADMIN, agent.id);
    expect(now).toMatchObject({ health: 'online', load: 0.4, agentVersion: '$x', version: 1 });
    expect(Date.parse(now.lastSeenAt) - Date.parse(now.healthSince)).toBe(1_000);
    expect(room.bus.of('agent.changed').map(({ change }) => change)).toEqual(['registered', 'online']);
  });

  it('leave an agent revoked that is revoked while they are on their way', async () => {
    for (let round = 0; round < 10; round += 1) {
      const { agent } = await room.addAgent(`agent-${round}`);
      const [, beaten] = await Promise.allSettled([
        room.service.update(ADMIN, agent.id, { version: 1, status: 'revoked' }),
        room.beat(agent),
      ]);
      if (beaten.status === 'rejected') expect(beaten.reason).toMatchObject({ code: 'auth.required' });
      expect(await room.service.get(ADMIN, agent.id)).toMatchObject({ status: 'revoked', health: 'offline' });
      await expect(room.beat(agent)).rejects.toMatchObject({ code: 'auth.required' });
    }
  });

  it('are asked for three times a lease at least', async () => {
    const { agent } = await room.addAgent('scanner');
    room.leases.leaseMs = 3_000;
    const { nextBeatMs } = await room.beat(agent);
    room.leases.leaseMs = 60_000;
    expect(nextBeatMs).toBeGreaterThanOrEqual(800);
    expect(nextBeatMs).toBeLessThanOrEqual(1_000);
  });
});

describe('AgentsService', () => {
  it('drains and labels by version, and lists by what is asked', async () => {
    const { agent } = await room.addAgent('scanner');
    await room.addAgent('platform', { pool: 'platform' });
    await room.beat(agent);
    const drained = await room.service.update(OPERATOR, agent.id, {
      version: 1,
      schedulable: false,
      labels: { zone: 'eu' },
    });
    expect(drained).toMatchObject({ schedulable: false, labels: { zone: 'eu' }, version: 2, health: 'online' });
    const stale = room.service.update(OPERATOR, agent.id, { version: 1, schedulable: true });
    await expect(stale).rejects.toMatchObject({ code: 'resource.version_conflict', details: { current: drained } });
    const list = async (by: Principal, query: object): Promise<string[]> =>
      (await room.service.list(by, { limit: 10, ...query })).items.map(({ name }) => name);
    expect(await list(ADMIN, {})).toEqual(['platform', 'scanner']);
    expect(await list(OPERATOR, {})).toEqual(['scanner']);
    expect(await list(ADMIN, { health: ['online'] })).toEqual(['scanner']);
    expect(await list(ADMIN, { tenantId: ['*'] })).toEqual(['platform']);
    expect(await list(ADMIN, { labelSelector: [{ key: 'zone', operator: 'in', values: ['eu'] }] })).toEqual([
      'scanner',
    ]);
    expect(await list(ADMIN, { status: ['revoked'] })).toEqual([]);
  });

  it('removes an agent: its credential is unknown and its leases are released', async () => {
    const { agent, credential } = await room.addAgent('scanner');
    await room.service.remove(ADMIN, agent.id);
    expect(await room.authority.find(credential)).toBe('unknown');
    expect(room.leases.released).toEqual([[agent.id, 'agent_removed']]);
    expect(room.bus.events.at(-1)).toMatchObject({
      payload: { change: 'removed' },
      options: { coalesceKey: agent.id, tombstone: true },
    });
    await expect(room.beat(agent)).rejects.toMatchObject({ code: 'auth.required' });
    await expect(room.service.remove(ADMIN, agent.id)).rejects.toMatchObject({ code: 'resource.not_found' });
  });
});

describe('StoredAgentDirectory', () => {
  it('knows who is there, who is gone, and takes a claim of an offline agent as a sign of life', async () => {
    const there = (await room.addAgent('there', { labels: { a: 'b' } })).agent;
    const revoked = (await room.addAgent('revoked')).agent;
    const removed = (await room.addAgent('removed')).agent;
    const offline = (await room.addAgent('offline')).agent;
    await room.service.update(ADMIN, revoked.id, { version: 1, status: 'revoked' });
    await room.service.remove(ADMIN, removed.id);
    await room.agents.collection.updateOne({ name: 'offline' }, { $set: { health: 'offline' } });
    const all = [there, revoked, removed, offline].map(({ id }) => id);
    expect(await room.directory.gone(all)).toEqual(new Set([revoked.id, removed.id, offline.id]));
    const expected = { id: there.id, tenantId: 'default', labels: { a: 'b' }, schedulable: true };
    expect(await room.directory.find(there.id)).toEqual(expected);
    expect(await room.directory.find(revoked.id)).toBeNull();
    expect(await room.directory.find(removed.id)).toBeNull();
    expect(await room.directory.find(offline.id)).toMatchObject({ id: offline.id });
    expect(await room.directory.gone([offline.id])).toEqual(new Set());
    expect(await room.service.get(ADMIN, offline.id)).toMatchObject({ health: 'online' });
  });
});
