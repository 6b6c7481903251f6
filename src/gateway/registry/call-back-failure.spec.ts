import '../../../test/support/quiet-logger.js';
import { createServer } from 'node:http';
import type { LookupAddress } from 'node:dns';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { errorOf, until } from '../../../test/contracts/subsystem-connection.contract.js';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { type HostileAnswer, HostileSubsystem } from '../../../test/support/flowwatch-subsystem-hostile.js';
import { FlowWatchSubsystem } from '../../../test/support/flowwatch-subsystem.js';
import { type RegistryRoom, makeRegistryRoom } from '../../../test/support/registry-room.js';
import { SYSTEM_SCOPE } from '../../auth/index.js';
import { EgressPolicy, GuardedDialer } from '../../egress/index.js';
import { CryptoRandom } from '../../runtime/random.js';
import { circleRefusal } from '../connections/gateway-circle.js';
import { ConnectSubsystemConnections } from '../connections/connect-subsystem-connections.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import type { CallBackFailure } from './call-back-failure.js';
import type { RegisteredSubsystem } from './registered-subsystem.js';
import type { SubsystemInstanceView } from './subsystem-view.js';

const LOOPBACK: readonly LookupAddress[] = [{ address: '127.0.0.1', family: 4 }];
const { getRun } = RunService.method;

/** Real connections, whose resolver is the test's. */
let room: RegistryRoom;
let resolve: (host: string) => Promise<readonly LookupAddress[]>;
let closing: Array<() => unknown>;
beforeEach(async () => {
  closing = [];
  resolve = () => Promise.resolve(LOOPBACK);
  const clock = new FakeClock();
  const policy = new EgressPolicy({ allow: [], deny: [], servesLoopbackOnly: true });
  const connections = new ConnectSubsystemConnections({
    dialer: new GuardedDialer(policy, clock, (host) => resolve(host)),
    clock,
    random: new CryptoRandom(),
    limits: { callTimeoutMs: 10_000, maxMessageBytes: 1 << 20 },
    installationId: () => 'here',
  });
  room = makeRegistryRoom({ clock, connections });
  await room.runnable.start();
});
afterEach(async () => {
  await room.runnable.stop(new AbortController().signal);
  await room.registry.close();
  for (const close of closing.toReversed()) await close();
});

const open = (endpoint: string): RegisteredSubsystem => {
  const said = { id: 'billing', name: '', description: '', metadata: {}, tenantId: 'default' };
  return room.registry.open({ ...said, endpoint, source: 'stream', end: () => undefined }).subsystem;
};
const instance = (): SubsystemInstanceView | undefined => room.service.get(SYSTEM_SCOPE, 'billing').instances[0];
const subsystem = async (protocols: 'http1' | 'http2'): Promise<FlowWatchSubsystem> => {
  const started = await new FlowWatchSubsystem({ id: 'a', runs: 3, protocols }).start();
  closing.push(() => started.stop());
  return started;
};

describe('why an endpoint cannot be called', () => {
  it.each<[HostileAnswer | 'gibberish', CallBackFailure]>([
    ['redirect-302', 'redirected'],
    ['redirect-307', 'redirected'],
    ['html', 'not_connect'],
    ['bad-gateway', 'not_connect'],
    ['wrong-protobuf', 'unreadable'],
    ['endless', 'unreadable'],
    ['cut-within', 'cut'],
    ['cut', 'cut'],
  ])('%s is shown as %s', async (answer, failure) => {
    const hostile = await new HostileSubsystem(answer).start();
    closing.push(() => hostile.stop());
    open(hostile.endpoint);
    await until(() => instance()?.failure !== null);
    expect(instance()).toMatchObject({ state: 'connecting', failure });
  });

  it('a web server without FlowWatch is shown as not_connect', async () => {
    const server = createServer((_request, response) => {
      response.writeHead(404, { 'content-type': 'text/html' }).end('<h1>Not found</h1>');
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    closing.push(() => new Promise((done) => server.close(done).closeAllConnections()));
    open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    await until(() => instance()?.failure !== null);
    expect(instance()).toMatchObject({ state: 'connecting', failure: 'not_connect' });
  });

  it.each([
    ['says that it is not available', Code.Unavailable, 'unavailable'],
    ['fails', Code.Internal, 'failed'],
    ['refuses what it is asked', Code.FailedPrecondition, 'failed'],
  ] as const)('one that %s', async (_how, code, failure) => {
    const one = await subsystem('http2');
    one.fail(code);
    open(one.endpoint);
    await until(() => instance()?.failure !== null);
    expect(instance()?.failure).toBe(failure);
  });

  it('one that says that the call has been here before is shown as loop', async () => {
    const one = await subsystem('http2');
    one.failWith(circleRefusal('it has been here before'));
    open(one.endpoint);
    await until(() => instance()?.failure !== null);
    expect(instance()?.failure).toBe('loop');
  });

  it('nobody there is shown as refused, also while nobody tries any more', async () => {
    const one = await subsystem('http2');
    const { endpoint } = one;
    await one.stop();
    closing.pop();
    open(endpoint);
    await until(() => instance()?.failure !== null);
    for (let minute = 0; minute < 3; minute += 1) {
      await room.clock.advance(60_000);
      expect(instance()).toMatchObject({ state: 'connecting', failure: 'refused' });
    }
  });

  it('one that speaks no TLS is shown as tls or cut', async () => {
    const one = await subsystem('http1');
    open(one.endpoint.replace('http:', 'https:'));
    await until(() => instance()?.failure !== null);
    expect(['tls', 'cut']).toContain(instance()?.failure);
  });

  it('one that accepts connections and says nothing is shown as timeout', async () => {
    const hostile = await new HostileSubsystem('silent').start();
    closing.push(() => hostile.stop());
    open(hostile.endpoint);
    await until(() => hostile.connections > 0);
    for (let second = 0; second < 11 && instance()?.failure === null; second += 1) await room.clock.advance(1_000);
    expect(instance()?.failure).toBe('timeout');
  });

  it('a name without an address is shown as dns', async () => {
    resolve = () => Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
    open('http://nowhere.test:8090');
    await until(() => instance()?.failure !== null);
    expect(instance()?.failure).toBe('dns');
  });

  it.each(['169.254.169.254', 'fd00:ec2::254', '100.100.100.200'])(
    'a name of the metadata address %s is not called, and no answer tells the address',
    async (address) => {
      resolve = () => Promise.resolve([...LOOPBACK, { address, family: address.includes(':') ? 6 : 4 }]);
      const { connection } = open('http://metadata.test:80');
      await until(() => instance()?.failure !== null);
      expect(instance()).toMatchObject({ state: 'connecting', failure: 'not_allowed' });
      const told = [room.service.get(SYSTEM_SCOPE, 'billing'), room.outlets.events, room.outlets.items];
      expect(JSON.stringify(told)).not.toContain(address);
      expect((await errorOf(connection.read(getRun, { runId: 'a' }))).message).not.toContain(address);
    },
  );

  it('a name that comes to mean the metadata address is not called any more', async () => {
    const one = await subsystem('http1');
    const { connection } = open(`http://moving.test:${one.port}`);
    await until(() => instance()?.state === 'connected');
    await room.clock.advance(1_500);
    one.cut();
    resolve = () => Promise.resolve([{ address: '169.254.169.254', family: 4 }]);
    await until(() => one.connections === 0);
    const error = await errorOf(connection.read(getRun, { runId: 'a-run-00000' }));
    expect(error.message).not.toContain('169.254');
    await until(() => instance()?.failure !== null);
    expect(instance()).toMatchObject({ state: 'connecting', failure: 'not_allowed' });
  });
});

describe('an instance that is left out', () => {
  it('finishes the calls that it has begun, and is taken back', async () => {
    // Over HTTP/1.1 each call has a connection of its own: those that stand go on while no other can be opened.
    const one = await subsystem('http1');
    const { connection } = open(`http://moving.test:${one.port}`);
    await until(() => instance()?.state === 'connected');
    await room.clock.advance(1_500);
    const release = one.hold('GetRun');
    const begun = connection.read(getRun, { runId: 'a-run-00000' });
    await until(() => one.count('GetRun') === 1);
    resolve = () => Promise.reject(Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' }));
    expect((await errorOf(connection.read(getRun, { runId: 'a-run-00000' }))).code).toBe(Code.Unavailable);
    await until(() => instance()?.state === 'connecting');
    // The connection hears of it at the next call, and retires the instance.
    expect((await errorOf(connection.read(getRun, { runId: 'a-run-00000' }))).code).toBe(Code.Unavailable);
    release();
    expect((await begun).run?.id).toBe('a-run-00000');
    resolve = () => Promise.resolve(LOOPBACK);
    await room.clock.advance(1_500);
    await until(() => instance()?.state === 'connected');
    expect((await connection.read(getRun, { runId: 'a-run-00000' })).run?.id).toBe('a-run-00000');
    expect(one.count('GetRun')).toBe(2);
  });
});
