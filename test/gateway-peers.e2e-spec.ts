import { networkInterfaces } from 'node:os';
import { Code } from '@connectrpc/connect';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { RegistrationClient } from './support/registration-client.js';
import { type WireName, transportOf } from './support/rpc-room.js';
import { Service } from './support/service.js';

const KEY = 'key-for-any-subsystem';
const USER_KEY = 'user-0123456789abcdef';
/** Of one peer, DESIGN 3 and the limits it names. */
const PER_PEER = 4;

const address = Object.values(networkInterfaces())
  .flatMap((each) => each ?? [])
  .find(({ internal, family }) => !internal && family === 'IPv4')?.address;
// The limit is not for loopback, so it shows on another address of this machine alone.
const describeWithAddress = address === undefined ? describe.skip : describe;

let service: Service;
let api: ApiClient;
let port = '';
const clients: RegistrationClient[] = [];

beforeAll(async () => {
  if (address === undefined) return;
  service = await Service.start({
    environment: {
      HOST: '0.0.0.0',
      CROWSNEST_ALLOWED_HOSTS: address,
      CROWSNEST_API_KEYS: `user:admin:${USER_KEY}`,
      CROWSNEST_GATEWAY_API_KEY: KEY,
      CROWSNEST_GATEWAY_HEARTBEAT: '300ms',
    },
  });
  ({ port } = new URL(service.url));
  api = new ApiClient(`http://127.0.0.1:${port}`, USER_KEY);
});
afterAll(() => service?.dispose());
afterEach(async () => {
  for (const client of clients) client.cut();
  await untilOpen(0);
  clients.length = 0;
});

/** A stream that has said nothing yet. */
const open = (host: string, headers: Record<string, string> = {}, wire: WireName = 'connect'): RegistrationClient => {
  const client = new RegistrationClient(transportOf(wire, '2', `http://${host}:${port}`), headers);
  clients.push(client);
  return client;
};
/** Its endpoint does not answer, which is no matter of the stream. */
const register = (host: string, subsystemId: string, wire?: WireName): RegistrationClient => {
  const client = open(host, {}, wire);
  client.register({ subsystemId, flowwatchEndpoint: 'http://10.255.255.1:8090', apiKey: KEY });
  return client;
};
const until = (holds: () => boolean): Promise<unknown> =>
  eventually(
    () => Promise.resolve(holds()),
    (isSo) => isSo,
    15_000,
  );
const accepted = (client: RegistrationClient): Promise<unknown> => until(() => client.said[0] === 'registered true');
const refused = async (client: RegistrationClient): Promise<Code | undefined> => {
  await until(() => client.error !== undefined);
  return client.error?.code;
};
const streams = async (): Promise<number> => {
  const text = await api.must<string>('GET', '/metrics');
  return Number(/^crowsnest_gateway_registration_streams (\d+)$/m.exec(text)?.[1]);
};
async function untilOpen(count: number): Promise<void> {
  if (address === undefined) return;
  await eventually(streams, (open) => open === count, 15_000);
}

describeWithAddress(
  `registrations of a peer that is not this machine (${address ?? 'this machine has loopback only'})`,
  () => {
    const peer = address ?? '';

    it.each(['connect', 'grpc'] as const)('have four streams over %s, and one more when one has left', async (wire) => {
      const four = Array.from({ length: PER_PEER }, (_, n) => register(peer, `${wire}-${n}`, wire));
      await Promise.all(four.map(accepted));
      const fifth = register(peer, `${wire}-4`, wire);
      expect(await refused(fifth)).toBe(Code.ResourceExhausted);
      expect(fifth.error?.rawMessage).toMatch(/^your address has 4 registration streams already; CROWSNEST_/);
      expect((await api.call('GET', `/gateway/subsystems/${wire}-4`)).status).toBe(404);
      await until(() => four.every(({ pings }) => pings >= 2));
      four[0]?.cut();
      await untilOpen(PER_PEER - 1);
      await accepted(register(peer, `${wire}-4`, wire));
      expect(four.slice(1).map(({ error }) => error)).toEqual([undefined, undefined, undefined]);
    });

    it('that say nothing take the same places, give them back after 5 s, and stand in nobody else’s way', async () => {
      const silent = Array.from({ length: PER_PEER }, () => open(peer));
      await untilOpen(PER_PEER);
      expect(await refused(register(peer, 'late'))).toBe(Code.ResourceExhausted);
      const local = Array.from({ length: 2 * PER_PEER }, (_, n) => register('127.0.0.1', `local-${n}`));
      await Promise.all(local.map(accepted));
      expect(await Promise.all(silent.map(refused))).toEqual(Array(PER_PEER).fill(Code.DeadlineExceeded));
      await accepted(register(peer, 'late'));
      await until(() => local.every(({ pings, error }) => pings >= 2 && error === undefined));
    });

    it('with a wrong key take no place for longer than they are looked at', async () => {
      // Each has a connection of its own, of which one address may have 50.
      const wrong = Array.from({ length: 20 }, () => open(peer, { authorization: 'Bearer wrong' }));
      const codes = await Promise.all(wrong.map(refused));
      // While four are being looked at at the same time, more are not.
      expect(codes.filter((code) => code !== Code.Unauthenticated && code !== Code.ResourceExhausted)).toEqual([]);
      expect(codes).toContain(Code.Unauthenticated);
      await untilOpen(0);
      const four = Array.from({ length: PER_PEER }, (_, n) => register(peer, `s-${n}`));
      await Promise.all(four.map(accepted));
    });
  },
);
