import '../../../test/support/quiet-logger.js';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { settle } from '../../../test/support/fake-clock.js';
import { RegistrationClient } from '../../../test/support/registration-client.js';
import { type RegistryRoom, makeRegistryRoom } from '../../../test/support/registry-room.js';
import { SYSTEM_SCOPE } from '../../auth/index.js';
import { REGISTRY_LIMITS, RegistryFull, requireRoom } from './registry-session.js';

const A = 'http://127.0.0.1:8090';
const HEARTBEAT = 10_000;

let room: RegistryRoom;
let clients: RegistrationClient[];
beforeEach(async () => {
  clients = [];
  room = makeRegistryRoom();
  await room.runnable.start();
});
afterEach(async () => {
  for (const client of clients) client.cut();
  await room.runnable.stop(new AbortController().signal);
});

const register = async (flowwatchEndpoint = A): Promise<RegistrationClient> => {
  const request = { subsystemId: 'billing', subsystemName: 'Billing', flowwatchEndpoint };
  const client = RegistrationClient.registering(room.transport, request);
  clients.push(client);
  await settle(20);
  return client;
};
const beat = async (...answering: RegistrationClient[]): Promise<void> => {
  await room.clock.advance(HEARTBEAT);
  await settle(20);
  for (const client of answering) client.pong();
  await settle(20);
};
const openSessions = (): number[] =>
  room.service.get(SYSTEM_SCOPE, 'billing').instances.map(({ sessions }) => sessions);

describe('streams of one endpoint', () => {
  it('that never answer are ended after the grace period, beside one that lives', async () => {
    room.endpoints.listen(A);
    const living = await register();
    const silent = [await register(), await register()];
    room.outlets.events.length = 0;
    for (let beats = 0; beats < 5; beats += 1) await beat(living);
    expect(openSessions()).toEqual([3]);
    for (let beats = 0; beats < 2; beats += 1) await beat(living);
    for (const client of silent) {
      expect([client.said.at(-1), client.error]).toEqual(['disconnect it has not answered for too long', null]);
    }
    expect([openSessions(), room.registration.streams, room.registry.sessionCount]).toEqual([[1], 1, 1]);
    expect(living.said.filter((each) => each.startsWith('disconnect'))).toEqual([]);
    expect(room.outlets.changes()).toEqual(['billing changed connected']);
  });

  it('do not multiply while a client comes back again and again over half-open connections', async () => {
    room.endpoints.listen(A);
    let most = 0;
    for (let times = 0; times < 30; times += 1) {
      const client = await register();
      await beat(client);
      most = Math.max(most, ...openSessions());
    }
    // Silent after two pings and a half, kept for three heartbeats more.
    expect(most).toBeLessThanOrEqual(7);
  });

  it('are bounded: one more is refused, until one has gone', async () => {
    for (let n = 0; n < REGISTRY_LIMITS.sessions; n += 1) await register();
    const refused = await register();
    expect(refused.said).toEqual(['registered false the endpoint has 16 registration streams already; try later']);
    expect(refused.error?.code).toBe(Code.ResourceExhausted);
    expect(openSessions()).toEqual([REGISTRY_LIMITS.sessions]);
    clients[0]?.cut();
    await settle(20);
    expect((await register()).said).toEqual(['registered true']);
  });
});

describe('instances of one subsystem', () => {
  it('are bounded, those too that have gone and are kept for the grace period', async () => {
    for (let n = 0; n < REGISTRY_LIMITS.instances; n += 1) {
      const client = await register(`http://127.0.0.1:${1_000 + n}`);
      client.cut();
    }
    await settle(20);
    const refused = await register('http://127.0.0.1:999');
    expect(refused.error?.code).toBe(Code.ResourceExhausted);
    expect((await register('http://127.0.0.1:1000')).said).toEqual(['registered true']);
    await room.clock.advance(36_000);
    expect((await register('http://127.0.0.1:999')).said).toEqual(['registered true']);
  });
});

describe('subsystems', () => {
  it('are bounded; one that is there already is not refused', () => {
    const { subsystems } = REGISTRY_LIMITS;
    expect(() => requireRoom(subsystems - 1, undefined, A)).not.toThrow();
    expect(() => requireRoom(subsystems, undefined, A)).toThrow(RegistryFull);
    expect(() => requireRoom(subsystems, { instances: [] }, A)).not.toThrow();
  });
});
