import { networkInterfaces } from 'node:os';
import { Code } from '@connectrpc/connect';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { RegistrationClient } from './support/registration-client.js';
import { type WireName, transportOf } from './support/rpc-room.js';
import { Service } from './support/service.js';

const KEY = 'key-for-any-subsystem';
const USER_KEY = 'user-0123456789abcdef';
/** Of one peer that have not registered. */
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

    it.each(['connect', 'grpc'] as const)(
      'that have a key are as many over %s as there are subsystems',
      async (wire) => {
        const all = Array.from({ length: 2 * PER_PEER }, (_, n) => n);
        const registered: RegistrationClient[] = [];
        for (const n of all) {
          const client = register(peer, `${wire}-${n}`, wire);
          await accepted(client);
          registered.push(client);
        }
        await until(() => registered.every(({ pings, error }) => pings >= 2 && error === undefined));
      },
    );

    it('that say nothing are four, give their places back after 5 s, and stand in nobody else’s way', async () => {
      const before = register(peer, 'before');
      await accepted(before);
      const silent = Array.from({ length: PER_PEER }, () => open(peer));
      await untilOpen(PER_PEER + 1);
      const late = register(peer, 'late');
      expect(await refused(late)).toBe(Code.ResourceExhausted);
      expect(late.error?.rawMessage).toMatch(
        /^your address has 4 streams already .*CROWSNEST_GATEWAY_STREAMS_PER_ADDRESS/,
      );
      expect((await api.call('GET', '/gateway/subsystems/late')).status).toBe(404);
      const local = Array.from({ length: 2 * PER_PEER }, (_, n) => register('127.0.0.1', `local-${n}`));
      await Promise.all(local.map(accepted));
      expect(await Promise.all(silent.map(refused))).toEqual(Array(PER_PEER).fill(Code.DeadlineExceeded));
      await accepted(register(peer, 'late'));
      await until(() => [before, ...local].every(({ pings, error }) => pings >= 2 && error === undefined));
    });

    it('with a wrong key take no place for longer than they are looked at', async () => {
      // Each has a connection of its own, of which one address may have 50, those of the tests before included.
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
