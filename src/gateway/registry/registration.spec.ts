import '../../../test/support/quiet-logger.js';
import { afterEach, describe, expect, it } from '@jest/globals';
import { toBinary } from '@bufbuild/protobuf';
import { Code } from '@connectrpc/connect';
import { settle } from '../../../test/support/fake-clock.js';
import { type RegistryRoom, type RegistryRoomOptions, makeRegistryRoom } from '../../../test/support/registry-room.js';
import { RegistrationClient } from '../../../test/support/registration-client.js';
import { SYSTEM_SCOPE } from '../../auth/index.js';
import { circleRefusal } from '../connections/gateway-circle.js';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';
import { WorkflowService } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { subsystemKey } from './subsystem-key.js';

const A = 'http://127.0.0.1:8090';
const B = 'http://127.0.0.1:8190';
const H = 10_000;
const DEADLINE = new AbortController().signal;
const billing = { subsystemId: 'billing', subsystemName: 'Billing', flowwatchEndpoint: A };

const rooms: RegistryRoom[] = [];
const clients: RegistrationClient[] = [];
afterEach(async () => {
  for (const client of clients.splice(0)) client.cut();
  for (const room of rooms.splice(0)) await room.runnable.stop(DEADLINE);
});

const openRoom = async (options: RegistryRoomOptions = {}): Promise<RegistryRoom> => {
  const room = makeRegistryRoom(options);
  rooms.push(room);
  await room.runnable.start();
  return room;
};
const register = async (
  room: RegistryRoom,
  request: Parameters<typeof RegistrationClient.registering>[1] = billing,
  headers: Record<string, string> = {},
): Promise<RegistrationClient> => {
  const client = RegistrationClient.registering(room.transport, request, headers);
  clients.push(client);
  await settle(20);
  return client;
};
const stateOf = (room: RegistryRoom, id = 'billing'): string | undefined => room.registry.find(SYSTEM_SCOPE, id)?.state;
/** Moves time by whole heartbeats; those given answer each ping. */
const beat = async (room: RegistryRoom, beats: number, ...answering: RegistrationClient[]): Promise<void> => {
  for (let n = 0; n < beats; n += 1) {
    const before = answering.map(({ pings }) => pings);
    await room.clock.advance(H);
    await settle(20);
    for (const [index, client] of answering.entries()) if (client.pings > (before[index] ?? 0)) client.pong();
    await settle(20);
  }
};

describe('a registration', () => {
  it('is accepted, called back, routable, and told', async () => {
    const room = await openRoom();
    room.endpoints.listen(A, ['invoice', 'dunning']);
    const client = await register(room);
    expect(client.said).toEqual(['registered true']);
    expect(client.received[0]?.msg.value).toMatchObject({ heartbeatInterval: { seconds: 10n } });
    const found = room.registry.find(SYSTEM_SCOPE, 'billing');
    expect(found).toMatchObject({ name: 'Billing', state: 'connected', tenantId: 'default' });
    expect(found?.capabilities?.streaming).toBe(true);
    expect(found?.workflows.map(({ id }) => id)).toEqual(['invoice', 'dunning']);
    expect(room.outlets.changes()).toEqual([
      'billing changed connecting',
      'billing changed connecting',
      'billing connected connected',
    ]);
    expect(room.figures.registryFigures()).toMatchObject({ accepted: 1, streams: 1, states: { connected: 1 } });
  });

  it('may come before its own port listens: connecting, and tried again', async () => {
    const room = await openRoom();
    const client = await register(room);
    expect(stateOf(room)).toBe('connecting');
    expect(room.service.get(SYSTEM_SCOPE, 'billing').instances[0]).toMatchObject({ failure: 'refused' });
    room.endpoints.listen(A);
    await beat(room, 1, client);
    expect(stateOf(room)).toBe('connected');
    expect(room.service.get(SYSTEM_SCOPE, 'billing').instances[0]).toMatchObject({ failure: null });
  });

  it('is pinged each heartbeat, and its round trips are measured', async () => {
    const room = await openRoom();
    room.endpoints.listen(A);
    const client = await register(room);
    await room.clock.advance(H);
    await settle(20);
    expect(client.pings).toBe(1);
    await room.clock.advance(40);
    client.pong();
    await settle(20);
    const view = room.service.get(SYSTEM_SCOPE, 'billing');
    expect(view).toMatchObject({ roundTripMs: 40, lastBeatAt: new Date(room.clock.now()).toISOString() });
    client.pong();
    await room.clock.advance(100);
    client.pong();
    await settle(20);
    expect(room.service.get(SYSTEM_SCOPE, 'billing').roundTripMs).toBe(40);
  });

  it('is shown with one time for a beat, whatever the clocks differ by when it is read', async () => {
    const room = await openRoom();
    await register(room);
    const shown = (): number => Date.parse(room.service.get(SYSTEM_SCOPE, 'billing').lastBeatAt ?? '');
    const first = shown();
    room.clock.jump(1);
    expect(shown()).toBe(first);
    room.clock.jump(3_600_000);
    expect(shown()).toBe(first + 3_600_001);
  });

  it('is stale after two missed pings, connected again by a late pong, removed after the grace period', async () => {
    const room = await openRoom();
    room.endpoints.listen(A);
    const client = await register(room);
    await beat(room, 3, client);
    await beat(room, 2);
    expect(stateOf(room)).toBe('connected');
    await room.clock.advance(H / 2);
    expect(stateOf(room)).toBe('stale');
    client.pong();
    await settle(20);
    expect(stateOf(room)).toBe('connected');
    await room.clock.advance(6 * H);
    await settle(20);
    expect(stateOf(room)).toBeUndefined();
    expect(client.said.at(-1)).toBe('disconnect it has not answered for too long');
    expect(client.error).toBeNull();
    expect(room.outlets.events.at(-1)?.options).toEqual({ coalesceKey: 'billing', tombstone: true });
    expect(room.endpoints.openCount).toBe(0);
  });

  it.each(['cut', 'halfClose'] as const)('ends with its stream (%s), and is kept for the grace period', async (how) => {
    const room = await openRoom();
    room.endpoints.listen(A);
    const client = await register(room);
    client[how]();
    await client.ended;
    await settle(20);
    expect([stateOf(room), room.registration.streams]).toEqual(['stale', 0]);
    const again = await register(room);
    expect([stateOf(room), again.said]).toEqual(['connected', ['registered true']]);
    again.cut();
    await settle(20);
    await room.clock.advance(36_000);
    expect(stateOf(room)).toBeUndefined();
  });

  it('of a second replica disturbs nobody: a rolling restart is connected all the time', async () => {
    const room = await openRoom();
    room.endpoints.listen(A);
    room.endpoints.listen(B);
    const first = await register(room);
    const second = await register(room, { ...billing, flowwatchEndpoint: B });
    room.outlets.events.length = 0;
    first.cut();
    await settle(20);
    const third = await register(room);
    second.cut();
    await settle(20);
    const fourth = await register(room, { ...billing, flowwatchEndpoint: B });
    await beat(room, 5, third, fourth);
    expect(room.outlets.changes().filter((each) => !each.endsWith(' connected'))).toEqual([]);
    for (const client of [first, second, third, fourth]) {
      expect(client.said.filter((each) => each.startsWith('disconnect'))).toEqual([]);
    }
    expect(room.service.get(SYSTEM_SCOPE, 'billing').instances.map(({ endpoint }) => endpoint)).toEqual([A, B]);
  });

  it('is asked again what it offers: now and then, and when it is heard of again', async () => {
    const room = await openRoom();
    const before = room.endpoints.listen(A, ['old']);
    const client = await register(room);
    await beat(room, 29, client);
    expect(before.count('GetCapabilities')).toBe(1);
    const after = room.endpoints.listen(A, ['old', 'new']);
    await beat(room, 2, client);
    expect(room.service.get(SYSTEM_SCOPE, 'billing').workflowCount).toBe(2);
    expect(after.count('GetCapabilities')).toBe(1);
    room.service.markStale(SYSTEM_SCOPE, 'billing');
    await beat(room, 2, client);
    expect([stateOf(room), after.count('GetCapabilities')]).toEqual(['connected', 2]);
  });

  it('that flaps multiplies nothing', async () => {
    const room = await openRoom();
    room.endpoints.listen(A);
    for (let n = 0; n < 100; n += 1) {
      const client = await register(room);
      client.cut();
      await client.ended;
    }
    await settle(20);
    expect([room.registration.streams, room.registry.sessionCount]).toEqual([0, 0]);
    expect(room.service.get(SYSTEM_SCOPE, 'billing').instances).toHaveLength(1);
    await room.clock.advance(36_000);
    expect([room.registry.list(SYSTEM_SCOPE).length, room.endpoints.openCount]).toEqual([0, 0]);
    await room.runnable.stop(DEADLINE);
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('is told to leave when the service ends, which then takes no other', async () => {
    const room = await openRoom();
    room.endpoints.listen(A);
    const client = await register(room);
    const silent = new RegistrationClient(room.transport);
    await settle(20);
    await room.runnable.stop(DEADLINE);
    await Promise.all([client.ended, silent.ended]);
    expect([client.said.at(-1), client.error]).toEqual(['disconnect the gateway is shutting down', null]);
    expect(silent.error?.code).toBe(Code.Unavailable);
    expect((await register(room)).error?.code).toBe(Code.Unavailable);
    expect([room.registration.streams, room.clock.pendingTimers]).toEqual([0, 0]);
    await room.registry.close();
    expect(room.endpoints.openCount).toBe(0);
  });

  it('is there for calls in progress after it was told to leave, until the last is answered', async () => {
    const room = await openRoom();
    room.endpoints.listen(A, ['billing-flow']);
    await register(room);
    await settle(20);
    await room.runnable.stop(DEADLINE);
    const [subsystem] = room.registry.list(SYSTEM_SCOPE);
    expect(subsystem?.state).toBe('connected');
    const listed = await subsystem?.connection.read(WorkflowService.method.listWorkflows, {}, {});
    expect(listed?.workflows).toHaveLength(1);
    await room.registry.close();
    expect([room.registry.list(SYSTEM_SCOPE).length, room.endpoints.openCount]).toEqual([0, 0]);
  });

  it('whose endpoint leads back to the gateway is told so, and leaves', async () => {
    const room = await openRoom();
    room.endpoints.listen(A).failWith('GetCapabilities', circleRefusal('it has been here before'));
    const client = await register(room);
    expect(client.said[1]).toBe('disconnect rejected: flowwatch_endpoint leads back to this gateway');
    expect(room.service.get(SYSTEM_SCOPE, 'billing').instances[0]).toMatchObject({ state: 'stale', failure: 'loop' });
  });
});

describe('who may register', () => {
  const key = (text: string) => subsystemKey().parse(text);
  const config = {
    apiKey: 'key-for-any-subsystem',
    subsystemKeys: [key('billing:key-of-billing-0123'), key('ledger@team-a:key-of-ledger-01234')],
  };

  it.each([
    ['the key of the id', 'billing', 'key-of-billing-0123', ['registered true'], undefined],
    ['the key for any', 'other', 'key-for-any-subsystem', ['registered true'], undefined],
    ['a wrong key', 'billing', 'wrong', ['registered false the key is missing or wrong'], Code.Unauthenticated],
    ['no key', 'billing', '', ['registered false the key is missing or wrong'], Code.Unauthenticated],
    [
      'the key of another id',
      'billing',
      'key-of-ledger-01234',
      ['registered false the key is not for this subsystem id'],
      Code.PermissionDenied,
    ],
    [
      'the key for any, for an id with one of its own',
      'billing',
      'key-for-any-subsystem',
      ['registered false the key is not for this subsystem id'],
      Code.PermissionDenied,
    ],
  ])('%s', async (_name, subsystemId, apiKey, said, code) => {
    const room = await openRoom({ config });
    room.endpoints.listen(A);
    const victim = await register(room, { ...billing, apiKey: 'key-of-billing-0123' });
    const client = await register(room, { ...billing, flowwatchEndpoint: B, subsystemId, apiKey });
    expect([client.said, client.error?.code]).toEqual([said, code]);
    expect(victim.error).toBeUndefined();
    if (code !== undefined) expect(room.service.get(SYSTEM_SCOPE, 'billing').instances).toHaveLength(1);
    expect(room.failedLogins).toHaveLength(code === Code.Unauthenticated ? 1 : 0);
  });

  it('is of the tenant of its key', async () => {
    const room = await openRoom({ config });
    await register(room, { ...billing, subsystemId: 'ledger', apiKey: 'key-of-ledger-01234' });
    expect(room.registry.find({ tenantId: 'team-a' }, 'ledger')?.tenantId).toBe('team-a');
    expect(room.registry.find({ tenantId: 'team-b' }, 'ledger')).toBeUndefined();
    expect(room.registry.list({ tenantId: 'default' })).toEqual([]);
  });

  it('is refused at the endpoint of another tenant, whose runs it would bring in reach', async () => {
    const room = await openRoom({ config });
    await register(room, { ...billing, apiKey: 'key-of-billing-0123' });
    const client = await register(room, { ...billing, subsystemId: 'ledger', apiKey: 'key-of-ledger-01234' });
    expect(client.error?.code).toBe(Code.AlreadyExists);
    expect(room.registry.find(SYSTEM_SCOPE, 'ledger')).toBeUndefined();
  });

  it('a key in the header counts, and a wrong one ends the stream before anything is read', async () => {
    const room = await openRoom({ config });
    const right = await register(room, billing, { Authorization: 'Bearer key-of-billing-0123' });
    expect(right.said).toEqual(['registered true']);
    const wrong = new RegistrationClient(room.transport, { Authorization: 'Bearer wrong' });
    await wrong.ended;
    expect([wrong.said, wrong.error?.code]).toEqual([[], Code.Unauthenticated]);
  });

  it('nobody without a key configured, unless the service serves this machine only', async () => {
    const room = await openRoom({ servesLoopbackOnly: false });
    const client = await register(room, { ...billing, flowwatchEndpoint: 'http://10.0.0.1:8090' });
    expect(client.error?.code).toBe(Code.Unauthenticated);
    expect(room.registry.list(SYSTEM_SCOPE)).toEqual([]);
    expect(client.said[0]).toMatch(/^registered false .* set CROWSNEST_GATEWAY_API_KEY or/);
  });
});

describe('what is refused', () => {
  it('a first message that is no registration', async () => {
    const room = await openRoom();
    const client = new RegistrationClient(room.transport);
    client.pong();
    await client.ended;
    expect([client.said, client.error?.code]).toEqual([[], Code.InvalidArgument]);
  });

  it('an end without a message', async () => {
    const room = await openRoom();
    const client = new RegistrationClient(room.transport);
    client.halfClose();
    await client.ended;
    expect(client.error?.code).toBe(Code.InvalidArgument);
  });

  it('a first message that does not come within 5 s', async () => {
    const room = await openRoom();
    const client = new RegistrationClient(room.transport);
    await settle(20);
    await room.clock.advance(4_999);
    expect(client.error).toBeUndefined();
    await room.clock.advance(1);
    await client.ended;
    expect([client.error?.code, room.registration.streams]).toEqual([Code.DeadlineExceeded, 0]);
    expect(room.figures.registryFigures().refused.get('deadline_exceeded')).toBe(1);
  });

  it('a second registration on the same stream', async () => {
    const room = await openRoom();
    const client = await register(room);
    client.register(billing);
    await client.ended;
    await settle(20);
    expect([client.error?.code, stateOf(room)]).toEqual([Code.InvalidArgument, 'stale']);
  });

  it.each([
    ['an empty id', { subsystemId: '' }, 'subsystem_id'],
    ['an id with a ~', { subsystemId: 'a~b' }, 'subsystem_id'],
    ['an id of 129 characters', { subsystemId: 'a'.repeat(129) }, 'subsystem_id'],
    ['a name of 257 characters', { subsystemName: 'n'.repeat(257) }, 'subsystem_name'],
    ['a description of 4097 characters', { description: 'd'.repeat(4_097) }, 'description'],
    ['65 metadata', { metadata: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`k${n}`, ''])) }, 'metadata'],
    ['a long metadata value', { metadata: { key: 'v'.repeat(1_025) } }, 'metadata'],
    ['no endpoint', { flowwatchEndpoint: '' }, 'flowwatch_endpoint'],
    ['another scheme', { flowwatchEndpoint: 'ftp://10.0.0.1' }, 'flowwatch_endpoint'],
    ['credentials', { flowwatchEndpoint: 'http://me:secret@10.0.0.1' }, 'flowwatch_endpoint'],
    ['a path', { flowwatchEndpoint: 'http://10.0.0.1/admin' }, 'flowwatch_endpoint'],
    ['a query', { flowwatchEndpoint: 'http://10.0.0.1/?x=1' }, 'flowwatch_endpoint'],
    ['a line break', { flowwatchEndpoint: 'http://10.0.0.1\r\nX: 1' }, 'flowwatch_endpoint'],
  ])('%s', async (_name, wrong, field) => {
    const room = await openRoom();
    const client = await register(room, { ...billing, ...wrong });
    expect(client.error?.code).toBe(Code.InvalidArgument);
    const [detail] = client.error?.findDetails(BadRequestSchema) ?? [];
    expect(detail?.fieldViolations.map((each) => each.field)).toEqual([field]);
    expect(toBinary(BadRequestSchema, detail as NonNullable<typeof detail>).length).toBeLessThan(1_000);
    expect(room.registry.list(SYSTEM_SCOPE)).toEqual([]);
  });

  it.each([
    'http://169.254.169.254',
    'http://[fd00:ec2::254]:80',
    'http://0x7f000001:8090',
    'http://[::ffff:a9fe:a9fe]',
  ])('the endpoint %s', async (flowwatchEndpoint) => {
    const room = await openRoom({ servesLoopbackOnly: false, config: { apiKey: 'key-for-any-subsystem' } });
    const client = await register(room, { ...billing, flowwatchEndpoint, apiKey: 'key-for-any-subsystem' });
    expect(client.said[0]).toMatch(/^registered false flowwatch_endpoint: /);
    expect(client.error?.code).toBe(Code.PermissionDenied);
    expect([room.registry.list(SYSTEM_SCOPE).length, room.endpoints.openCount]).toEqual([0, 0]);
  });

  it('only as many of one address that have not registered as configured', async () => {
    const config = { apiKey: 'key-for-any-subsystem', streamsPerAddress: 6 };
    const room = await openRoom({ servesLoopbackOnly: false, peerAddress: '10.1.1.1', config });
    const request = { ...billing, apiKey: config.apiKey, flowwatchEndpoint: 'http://10.0.0.1:8090' };
    for (let n = 0; n < 8; n += 1) expect((await register(room, request)).said).toEqual(['registered true']);
    for (let n = 0; n < 6; n += 1) clients.push(new RegistrationClient(room.transport));
    await settle(50);
    const { error } = await register(room, request);
    expect(error?.rawMessage).toMatch(/6 streams already .*CROWSNEST_GATEWAY_STREAMS_PER_ADDRESS/);
    clients.at(-2)?.cut();
    await settle(20);
    expect((await register(room, request)).said).toEqual(['registered true']);
  });

  it('a flood: more streams than configured', async () => {
    const room = await openRoom({ config: { registrationStreams: 20 } });
    const all = [];
    for (let n = 0; n < 200; n += 1) all.push(new RegistrationClient(room.transport));
    clients.push(...all);
    await settle(50);
    expect(all.filter(({ error }) => error?.code === Code.ResourceExhausted)).toHaveLength(180);
    expect(room.registration.streams).toBe(20);
    await room.clock.advance(5_000);
    await settle(50);
    expect(room.registration.streams).toBe(0);
  });

  it('an id of another tenant', async () => {
    const room = await openRoom({
      config: {
        apiKey: 'key-for-any-subsystem',
        subsystemKeys: [subsystemKey().parse('x@team-a:key-of-x-0123456789')],
      },
    });
    room.registry.open({
      id: 'x',
      name: '',
      description: '',
      metadata: {},
      endpoint: A,
      tenantId: 'team-b',
      source: 'rest',
      end: () => undefined,
    });
    const client = await register(room, { ...billing, subsystemId: 'x', apiKey: 'key-of-x-0123456789' });
    expect([client.said, client.error?.code]).toEqual([
      ['registered false the subsystem id is taken'],
      Code.AlreadyExists,
    ]);
  });
});
