import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type AgentRoom, openAgentRoom } from '../../test/support/agent-room.js';
import { ADMIN } from '../../test/support/tenant-room.js';
import type { Principal } from '../auth/index.js';
import type { RegisteredAgent } from './agent-registration.js';

const DEFAULT_ADMIN: Principal = { kind: 'user', id: 'dan', role: 'admin', tenantId: 'default' };
const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const REFUSED = {
  code: 'auth.required',
  detail: 'the bootstrap token is unknown, expired, revoked or spent; ask for another',
};
const REQUEST = { requestId: 'a-request-of-an-agent' };

let room: AgentRoom;
beforeAll(async () => {
  room = await openAgentRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const principalOf = ({ agent }: RegisteredAgent) => ({
  kind: 'agent',
  id: agent.id,
  role: 'operator',
  tenantId: agent.tenantId,
});
const names = async (): Promise<string[]> => (await room.service.list(ADMIN, { limit: 100 })).items.map((a) => a.name);

describe('registration', () => {
  it('makes an agent with a credential and the labels of its token', async () => {
    const { token, id } = await room.issueToken({ labels: { zone: 'eu' } }, DEFAULT_ADMIN);
    const registered = await room.register(token, 'scanner', { labels: { zone: 'us', arch: 'arm' }, version: '1.2' });
    expect(registered.agent).toMatchObject({
      name: 'scanner',
      tenantId: 'default',
      labels: { zone: 'eu', arch: 'arm' },
      agentVersion: '1.2',
      status: 'active',
      health: 'unknown',
      schedulable: true,
    });
    expect(await room.authority.find(registered.credential)).toEqual(principalOf(registered));
    const used = await room.tokensService.get(DEFAULT_ADMIN, id);
    expect(used).toMatchObject({ state: 'spent', remainingUses: 0, agentIds: [registered.agent.id] });
    expect(registered.nextBeatMs).toBeGreaterThanOrEqual(16_000);
    expect(registered.nextBeatMs).toBeLessThanOrEqual(20_000);
  });

  it('keeps no secret in the store, on the bus or in the audit log', async () => {
    const { token } = await room.issueToken();
    const { credential, agent } = await room.register(token, 'scanner');
    const { db } = room.database.connection;
    const agents = await db?.collection('agents').find().toArray();
    const tokens = await db?.collection('bootstrap_tokens').find().toArray();
    expect([agents, tokens]).toMatchObject([[{ name: 'scanner' }], [{ remainingUses: 0 }]]);
    const everything = JSON.stringify([agents, tokens, room.bus.events, room.audit.entries, agent]);
    for (const text of [token, credential]) expect(everything).not.toContain(text.split('.')[1]);
    const [document] = await room.agents.ofIds([agent.id]);
    const shown = JSON.stringify([room.bus.events, room.audit.entries, await room.service.get(ADMIN, agent.id)]);
    expect(shown).not.toContain(document?.credentials[0]?.digest);
  });

  it('lets one of 50 in that race for the only use, and three for three', async () => {
    for (const maxUses of [1, 3]) {
      await room.clear();
      const { token, id } = await room.issueToken({ maxUses });
      const outcomes = await Promise.allSettled(
        Array.from({ length: 50 }, (_, index) => room.register(token, `agent-${index}`)),
      );
      const failed = outcomes.filter((outcome) => outcome.status === 'rejected');
      expect(failed).toHaveLength(50 - maxUses);
      for (const { reason } of failed) expect(reason).toMatchObject(REFUSED);
      expect(await names()).toHaveLength(maxUses);
      expect(await room.tokensService.get(ADMIN, id)).toMatchObject({ remainingUses: 0, state: 'spent' });
    }
  });

  it('gets the same agent and a fresh credential by the same request id, for no further use', async () => {
    const { token } = await room.issueToken({ maxUses: 2 });
    const first = await room.register(token, 'scanner', REQUEST);
    await room.clock.advance(MINUTE);
    const second = await room.register(token, 'scanner', REQUEST);
    expect(second.agent.id).toBe(first.agent.id);
    expect(await room.authority.find(first.credential)).toBe('unknown');
    expect(await room.authority.find(second.credential)).toEqual(principalOf(first));
    await room.register(token, 'other');
    const third = await room.register(token, 'scanner', REQUEST);
    expect(third.agent.id).toBe(first.agent.id);
    await expect(room.register(token, 'one-more')).rejects.toMatchObject(REFUSED);
  });

  it('takes one use for a request that is sent many times at once, and answers each with what holds', async () => {
    const { token, id } = await room.issueToken({ maxUses: 20 });
    const twins = await Promise.all(Array.from({ length: 4 }, () => room.register(token, 'scanner', REQUEST)));
    expect(new Set(twins.map(({ agent }) => agent.id)).size).toBe(1);
    for (const twin of twins) expect(await room.authority.find(twin.credential)).toEqual(principalOf(twin));
    expect(await room.tokensService.get(ADMIN, id)).toMatchObject({ remainingUses: 19 });
    expect(await names()).toEqual(['scanner']);
    await Promise.all(Array.from({ length: 4 }, () => room.register(token, 'scanner', REQUEST)));
    const last = await room.register(token, 'scanner', REQUEST);
    expect(await room.authority.find(last.credential)).toEqual(principalOf(last));
    expect(last.agent.credentials).toHaveLength(4);
  });

  it('is not told by its own request that its name is taken', async () => {
    const { token } = await room.issueToken({ maxUses: 2 });
    const hasName = room.agents.hasName.bind(room.agents);
    let first: RegisteredAgent | undefined;
    room.agents.hasName = async (tenantId, name) => {
      room.agents.hasName = hasName;
      first = await room.register(token, 'scanner', REQUEST);
      return hasName(tenantId, name);
    };
    const second = await room.register(token, 'scanner', REQUEST);
    expect(second.agent.id).toBe(first?.agent.id);
  });

  it('by a request id of another agent is refused, and takes nothing from that one', async () => {
    const { token, id } = await room.issueToken({ maxUses: 2 });
    const first = await room.register(token, 'scanner', REQUEST);
    const reused = { code: 'request.idempotency_key_reused', detail: expect.stringContaining('"scanner"') };
    await expect(room.register(token, 'scanner-2', REQUEST)).rejects.toMatchObject(reused);
    await room.clock.advance(MINUTE);
    await expect(room.register(token, 'scanner-2', REQUEST)).rejects.toMatchObject(reused);
    expect(await room.authority.find(first.credential)).toEqual(principalOf(first));
    expect(await room.tokensService.get(ADMIN, id)).toMatchObject({ remainingUses: 1 });
  });

  it('is taken up by the same request id after a crash between the use and the agent', async () => {
    const { token } = await room.issueToken();
    const insert = room.agents.insert.bind(room.agents);
    room.agents.insert = () => Promise.reject(new Error('kill -9'));
    await expect(room.register(token, 'scanner', REQUEST)).rejects.toThrow('kill -9');
    room.agents.insert = insert;
    await expect(room.register(token, 'scanner')).rejects.toMatchObject(REFUSED);
    const registered = await room.register(token, 'scanner', REQUEST);
    expect(await room.authority.find(registered.credential)).toEqual(principalOf(registered));
  });

  it('costs no use if the name is taken, even at the last moment', async () => {
    await room.addAgent('scanner');
    const { token, id } = await room.issueToken();
    const taken = { code: 'resource.name_taken' };
    await expect(room.register(token, 'scanner')).rejects.toMatchObject(taken);
    const hasName = room.agents.hasName.bind(room.agents);
    room.agents.hasName = () => Promise.resolve(false);
    await expect(room.register(token, 'scanner', REQUEST)).rejects.toMatchObject(taken);
    room.agents.hasName = hasName;
    expect(await room.tokensService.get(ADMIN, id)).toMatchObject({ state: 'active', remainingUses: 1, agentIds: [] });
    await room.register(token, 'scanner-2', REQUEST);
    expect(await names()).toEqual(['scanner-2', 'scanner']);
  });

  it('is refused in the same words for an unknown, wrong, expired, revoked or spent token', async () => {
    const { token, id } = await room.issueToken({ maxUses: 2, expiresInMs: HOUR });
    await room.register(token, 'kept', REQUEST);
    const wrong = `${token.slice(0, -2)}${token.endsWith('AA') ? 'BB' : 'AA'}`;
    for (const text of [wrong, token.replace(id, 'f'.repeat(24)), 'cbt_', 'nonsense', token.replace('cbt_', 'csa_')]) {
      await expect(room.register(text, 'x')).rejects.toMatchObject({ ...REFUSED, kind: 'unknown' });
    }
    const over = { ...REFUSED, kind: 'over' };
    const spent = await room.issueToken();
    await room.register(spent.token, 'only');
    await expect(room.register(spent.token, 'x')).rejects.toMatchObject({ ...over, reason: 'spent' });
    await room.tokensService.revoke(ADMIN, id);
    await expect(room.register(token, 'x')).rejects.toMatchObject({ ...over, reason: 'revoked' });
    await expect(room.register(token, 'kept', REQUEST)).rejects.toMatchObject({ ...over, reason: 'revoked' });
    const other = await room.issueToken({ expiresInMs: HOUR });
    await room.clock.advance(HOUR);
    const expired = { ...over, reason: 'expired', token: { tenantId: 'default' } };
    await expect(room.register(other.token, 'x')).rejects.toMatchObject(expired);
    expect(await room.tokensService.get(ADMIN, other.id)).toMatchObject({ state: 'expired' });
  });

  it('brings no removed or revoked agent back', async () => {
    const { token } = await room.issueToken();
    const { agent } = await room.register(token, 'scanner', REQUEST);
    await room.service.update(ADMIN, agent.id, { version: 1, status: 'revoked' });
    await expect(room.register(token, 'scanner', REQUEST)).rejects.toMatchObject(REFUSED);
    await room.service.remove(ADMIN, agent.id);
    await expect(room.register(token, 'scanner', REQUEST)).rejects.toMatchObject(REFUSED);
    expect(await names()).toEqual([]);
  });
});

describe('bootstrap tokens', () => {
  it('let agents of the platform in only by admins of all tenants', async () => {
    const { agent } = await room.addAgent('platform', { pool: 'platform' });
    expect(agent.tenantId).toBe('*');
    await expect(room.issueToken({ pool: 'platform' }, DEFAULT_ADMIN)).rejects.toMatchObject({
      code: 'auth.forbidden',
    });
    const missing = { code: 'resource.not_found' };
    await expect(room.issueToken({ tenantId: 'acme' }, DEFAULT_ADMIN)).rejects.toMatchObject(missing);
    await expect(room.issueToken({ tenantId: 'acme' })).rejects.toMatchObject(missing);
    await expect(room.service.get(DEFAULT_ADMIN, agent.id)).rejects.toMatchObject(missing);
    const { id } = await room.issueToken({ pool: 'platform' });
    await expect(room.tokensService.revoke(DEFAULT_ADMIN, id)).rejects.toMatchObject(missing);
    expect((await room.tokensService.list(DEFAULT_ADMIN, { limit: 10 })).items).toEqual([]);
  });

  it('go with their tenant, and so do its agents', async () => {
    const acme = await room.tenants.service.create(ADMIN, { name: 'acme' });
    const { token } = await room.issueToken({ tenantId: 'acme', maxUses: 2 });
    const { credential } = await room.register(token, 'scanner');
    await room.tenants.service.delete(ADMIN, acme.id);
    expect(await room.authority.find(credential)).toBe('unknown');
    await expect(room.register(token, 'scanner-2')).rejects.toMatchObject({ ...REFUSED, kind: 'unknown' });
  });

  it('are removed a day after they expired, were spent or revoked, thousands in batches', async () => {
    const never = new AbortController().signal;
    const lease = { assertHeld: (): void => undefined };
    const spent = await room.issueToken({ expiresInMs: 24 * HOUR });
    await room.register(spent.token, 'scanner');
    const revoked = await room.issueToken({ expiresInMs: 24 * HOUR });
    await room.tokensService.revoke(ADMIN, revoked.id);
    await room.tokensService.revoke(ADMIN, revoked.id);
    const live = await room.issueToken({ expiresInMs: 24 * HOUR, maxUses: 2 });
    await room.register(live.token, 'scanner-2');
    const expired = await room.issueToken({ expiresInMs: HOUR });
    const left = async (): Promise<string[]> =>
      (await room.tokensService.list(ADMIN, { limit: 100 })).items.map(({ id }) => id);

    await room.clock.advance(24 * HOUR);
    expect(await room.cleanup.sweep(never, lease)).toBe(0);
    await room.clock.advance(1);
    expect(await room.cleanup.sweep(never, lease)).toBe(2);
    expect(await left()).toEqual([expired.id, live.id]);
    await room.clock.advance(HOUR);
    expect(await room.cleanup.sweep(never, lease)).toBe(1);
    expect(await left()).toEqual([live.id]);

    const endsAt = new Date(0);
    const many = Array.from({ length: 2_500 }, () => ({ tenantId: 'default', endsAt }));
    await room.database.connection.db?.collection('bootstrap_tokens').insertMany(many);
    const lost = {
      assertHeld: () => {
        throw new Error('lost');
      },
    };
    await expect(room.cleanup.sweep(never, lost)).rejects.toThrow('lost');
    await expect(room.cleanup.sweep(AbortSignal.abort(), lease)).rejects.toThrow();
    expect(await room.cleanup.sweep(never, lease)).toBe(2_500);
    expect(await left()).toEqual([live.id]);
  });
});
