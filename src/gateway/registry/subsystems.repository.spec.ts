import '../../../test/support/quiet-logger.js';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { settle } from '../../../test/support/fake-clock.js';
import { type RegistryRoom, makeRegistryRoom } from '../../../test/support/registry-room.js';
import { RegistrationClient } from '../../../test/support/registration-client.js';
import { type TestDatabase, openTestDatabase } from '../../../test/support/test-database.js';
import { type Principal, SYSTEM_SCOPE } from '../../auth/index.js';

const OPERATOR: Principal = { kind: 'user', id: 'oda', role: 'operator', tenantId: 'team-a' };
const STRANGER: Principal = { ...OPERATOR, id: 'sam', tenantId: 'team-b' };
const EVERYWHERE: Principal = { ...OPERATOR, id: 'eve', tenantId: '*' };
const A = 'http://127.0.0.1:8090';
const H = 10_000;
const asked = { id: 'billing', name: 'Billing', description: '', endpoint: `${A}/`, metadata: { 'a.b/$c': 'd' } };

let database: TestDatabase;
const rooms: RegistryRoom[] = [];

beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database.close());
afterEach(async () => {
  for (const room of rooms.splice(0)) await room.runnable.stop(new AbortController().signal);
  await database.connection.db?.collection('subsystems').deleteMany({});
});

const openRoom = async (from?: RegistryRoom): Promise<RegistryRoom> => {
  const shared = from ? { clock: from.clock, endpoints: from.endpoints } : {};
  const room = makeRegistryRoom({ connection: database.connection, ...shared });
  rooms.push(room);
  await room.runnable.start();
  return room;
};
const stateOf = (room: RegistryRoom): string | undefined => room.registry.find(SYSTEM_SCOPE, 'billing')?.state;
/** What waits for rounds of a replica, each of which takes as long as the database. */
const untilInTime = async ({ clock }: RegistryRoom, isTrue: () => boolean): Promise<void> => {
  for (; !isTrue(); await settle(4)) await clock.advance(1_000);
};

describe('a subsystem that a person registers', () => {
  it('is called, connected, and kept alive by calls', async () => {
    const room = await openRoom();
    const connection = room.endpoints.listen(A, ['invoice']);
    expect(await room.service.register(OPERATOR, asked)).toMatchObject({
      id: 'billing',
      tenantId: 'team-a',
      state: 'connecting',
      metadata: { 'a.b/$c': 'd' },
      instances: [{ endpoint: A, source: 'rest', sessions: 1 }],
    });
    await settle(20);
    expect(room.service.get(OPERATOR, 'billing')).toMatchObject({ state: 'connected', workflowCount: 1 });
    const before = connection.count('GetCapabilities');
    for (let n = 0; n < 5; n += 1) await room.clock.advance(H);
    expect(stateOf(room)).toBe('connected');
    expect(connection.count('GetCapabilities') - before).toBe(5);
  });

  it('is stale after two calls without an answer, stays registered, and comes back', async () => {
    const room = await openRoom();
    room.endpoints.listen(A);
    await room.service.register(OPERATOR, asked);
    await settle(20);
    room.endpoints.silence(A);
    await room.clock.advance(2 * H + H / 2);
    expect(stateOf(room)).toBe('stale');
    await room.clock.advance(60 * H);
    expect(stateOf(room)).toBe('stale');
    room.endpoints.listen(A);
    await room.clock.advance(H);
    await settle(20);
    expect(stateOf(room)).toBe('connected');
  });

  it('survives a restart', async () => {
    const room = await openRoom();
    room.endpoints.listen(A);
    await room.service.register(OPERATOR, asked);
    await room.runnable.stop(new AbortController().signal);
    const again = await openRoom(room);
    await settle(20);
    expect(again.service.get(OPERATOR, 'billing')).toMatchObject({
      name: 'Billing',
      state: 'connected',
      tenantId: 'team-a',
    });
  });

  it('is known to another replica, and forgotten there too', async () => {
    const room = await openRoom();
    room.endpoints.listen(A);
    const other = await openRoom(room);
    await room.service.register(OPERATOR, asked);
    await untilInTime(room, () => stateOf(other) === 'connected');
    await room.service.deregister(OPERATOR, 'billing');
    await untilInTime(room, () => stateOf(other) === undefined);
    expect(other.outlets.retired).toEqual(['subsystem:billing']);
  });

  it('has an id of its own', async () => {
    const room = await openRoom();
    await room.service.register(OPERATOR, asked);
    const again = room.service.register(STRANGER, asked);
    await expect(again).rejects.toMatchObject({ code: 'subsystem.already_registered', status: 409 });
    const client = RegistrationClient.registering(room.transport, { subsystemId: 'ledger', flowwatchEndpoint: A });
    await settle(20);
    const taken = room.service.register(OPERATOR, { ...asked, id: 'ledger' });
    await expect(taken).rejects.toMatchObject({ code: 'subsystem.already_registered' });
    expect(await room.repository.list(SYSTEM_SCOPE)).toHaveLength(1);
    client.cut();
  });

  it('has an endpoint of its own, which no other tenant gets at under another id', async () => {
    const room = await openRoom();
    await room.service.register(OPERATOR, asked);
    for (const principal of [OPERATOR, STRANGER]) {
      const again = room.service.register(principal, { ...asked, id: 'evil', endpoint: A });
      await expect(again).rejects.toMatchObject({ code: 'subsystem.already_registered', status: 409 });
    }
    expect(await room.repository.list(SYSTEM_SCOPE)).toHaveLength(1);
  });

  it('is registered once, whoever comes first of several at once', async () => {
    const room = await openRoom();
    const all = await Promise.allSettled(Array.from({ length: 10 }, () => room.service.register(OPERATOR, asked)));
    expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(room.registry.sessionCount).toBe(1);
  });

  it('is of its tenant only', async () => {
    const room = await openRoom();
    await room.service.register(OPERATOR, asked);
    expect(() => room.service.get(STRANGER, 'billing')).toThrow(expect.objectContaining({ status: 404 }));
    expect(() => room.service.markStale(STRANGER, 'billing')).toThrow(expect.objectContaining({ status: 404 }));
    await expect(room.service.deregister(STRANGER, 'billing')).rejects.toMatchObject({ status: 404 });
    expect(room.service.list(STRANGER)).toEqual([]);
    await room.service.deregister(OPERATOR, 'billing');
    expect((await room.service.register(EVERYWHERE, asked)).tenantId).toBe('default');
  });

  it('goes with its tenant', async () => {
    const room = await openRoom();
    await room.service.register(OPERATOR, asked);
    await room.service.forget('team-a');
    expect([stateOf(room), await room.repository.list(SYSTEM_SCOPE)]).toEqual([undefined, []]);
  });

  it.each([
    ['http://169.254.169.254', 'egress.refused'],
    ['http://[fd00:ec2::254]', 'egress.refused'],
    ['http://user:secret@10.0.0.1', 'request.invalid'],
    ['ftp://10.0.0.1', 'request.invalid'],
    ['nowhere', 'request.invalid'],
  ])('is refused at %s', async (endpoint, code) => {
    const room = await openRoom();
    await expect(room.service.register(OPERATOR, { ...asked, endpoint })).rejects.toMatchObject({
      code,
      status: 422,
      errors: [{ path: 'endpoint' }],
    });
    expect([room.registry.list(SYSTEM_SCOPE), await room.repository.list(SYSTEM_SCOPE)]).toEqual([[], []]);
  });
});

describe('what a person does with a subsystem that registered itself', () => {
  const registered = async (room: RegistryRoom): Promise<RegistrationClient> => {
    room.endpoints.listen(A);
    const client = RegistrationClient.registering(room.transport, { subsystemId: 'billing', flowwatchEndpoint: A });
    await settle(20);
    expect(stateOf(room)).toBe('connected');
    return client;
  };

  it('deregisters it: it is told to leave, and may come back', async () => {
    const room = await openRoom();
    const client = await registered(room);
    await room.service.deregister(EVERYWHERE, 'billing');
    await client.ended;
    expect([client.said.at(-1), stateOf(room)]).toEqual(['disconnect deregistered', undefined]);
    await registered(room);
  });

  it('marks it as stale: it is left out until its next answer', async () => {
    const room = await openRoom();
    const client = await registered(room);
    expect(room.service.markStale(EVERYWHERE, 'billing').state).toBe('stale');
    await room.clock.advance(H);
    await settle(20);
    expect(stateOf(room)).toBe('stale');
    client.pong();
    await settle(20);
    expect(stateOf(room)).toBe('connected');
    client.cut();
  });
});

describe('what streams show', () => {
  it('a snapshot of the scope, each change of its tenant, and the end', async () => {
    const room = await openRoom();
    room.endpoints.listen(A);
    await room.service.register(OPERATOR, asked);
    await settle(20);
    const all = room.outlets.topics.get('subsystems');
    const one = room.outlets.topics.get('subsystem');
    expect(await all?.snapshot(OPERATOR, '')).toMatchObject([{ entity: 'billing', data: { state: 'connected' } }]);
    expect(await all?.snapshot(STRANGER, '')).toEqual([]);
    await expect(one?.authorize(STRANGER, 'billing')).rejects.toMatchObject({ status: 404 });
    await one?.authorize(OPERATOR, 'billing');
    const [snapshot] = (await one?.snapshot(OPERATOR, 'billing')) ?? [];
    expect(snapshot?.version).toBe(room.outlets.items.at(-1)?.item.version);
    await room.service.deregister(OPERATOR, 'billing');
    const { streamKey, tenantId, item } = room.outlets.items.at(-1) ?? {};
    expect([streamKey, tenantId]).toEqual(['subsystem:billing', 'team-a']);
    expect(item?.data).toEqual({ id: 'billing', tenantId: 'team-a', name: 'Billing', removed: true });
    expect(room.outlets.retired).toEqual(['subsystem:billing']);
    const versions = room.outlets.items.map((each) => each.item.version);
    expect(versions).toEqual(versions.toSorted((a, b) => a - b));
  });
});
