import { afterEach, describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { mkdtempSync } from 'node:fs';
import { createSecureServer } from 'node:http2';
import { createServer as createHttps } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { errorOf, until } from '../../../test/contracts/subsystem-connection.contract.js';
import { CertificateAuthority } from '../../../test/control-plane/certificate-authority.js';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { type RpcRequest, type RpcResponse, rpcListener } from '../../../test/support/flowwatch-subsystem-adapter.js';
import { SubsystemData } from '../../../test/support/flowwatch-subsystem-data.js';
import { HostileSubsystem } from '../../../test/support/flowwatch-subsystem-hostile.js';
import { SilencingProxy } from '../../../test/support/flowwatch-subsystem-proxy.js';
import { type ConnectionOptions, connectionTo } from '../../../test/support/flowwatch-subsystem-room.js';
import { SubsystemServices } from '../../../test/support/flowwatch-subsystem-services.js';
import { FlowWatchSubsystem } from '../../../test/support/flowwatch-subsystem.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import type { ConnectSubsystemConnection } from './connect-subsystem-connection.js';

const { getRun, cancelRun, retryRun } = RunService.method;
const { watchRuns } = StreamService.method;
const runId = 'a-run-00000';
const NOBODY = 'http://127.0.0.1:1';

describe('instances of a subsystem', () => {
  let closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.toReversed()) await close();
    closing = [];
  });
  const subsystem = async (protocols: 'both' | 'http1' | 'http2' = 'both', port = 0): Promise<FlowWatchSubsystem> => {
    const started = await new FlowWatchSubsystem({ id: 'a', runs: 3, protocols, port }).start();
    closing.push(() => started.stop());
    return started;
  };
  const connect = (
    endpoints: readonly string[] | (() => readonly string[]),
    options?: ConnectionOptions,
  ): ConnectSubsystemConnection => {
    const connection = connectionTo(endpoints, options);
    closing.push(() => connection.close());
    return connection;
  };

  it('takes the next one when the first cannot be reached, for reads, mutations and streams', async () => {
    const second = await subsystem();
    const connection = connect([NOBODY, second.endpoint]);
    expect((await connection.read(getRun, { runId })).run?.id).toBe(runId);
    await connection.mutate(cancelRun, { runId });
    expect(second.services.effects).toHaveLength(1);
    const events = connection.stream(watchRuns, { includeInitialSnapshot: true })[Symbol.asyncIterator]();
    expect((await events.next()).value?.run?.id).toBe(runId);
    await events.return?.();
  });

  it.each(['refuse', 'goaway'] as const)('repeats a mutation that was not processed: %s', async (answer) => {
    const refusing = await new HostileSubsystem(answer, 'http2').start();
    closing.push(() => refusing.stop());
    const second = await subsystem();
    const connection = connect([refusing.endpoint, second.endpoint]);
    const read = connection.read(getRun, { runId });
    await until(() => refusing.requests === 1);
    await connection.mutate(cancelRun, { runId });
    expect(refusing.requests).toBeGreaterThan(1);
    expect(second.services.effects).toHaveLength(1);
    expect((await read).run?.id).toBe(runId);
  });

  it('repeats a read that was cut, and never a mutation: its effect is one, and the same key finds it again', async () => {
    const [first, second] = [await subsystem(), await subsystem()];
    const connection = connect([first.endpoint, second.endpoint]);
    first.loseAnswer('GetRun');
    expect((await connection.read(getRun, { runId })).run?.id).toBe(runId);
    const before = first.count('RetryRun') + second.count('RetryRun');
    first.loseAnswer('RetryRun');
    const error = await errorOf(connection.mutate(retryRun, { runId }, { idempotencyKey: 'k' }));
    expect(error.code).toBe(Code.Unknown);
    expect(first.count('RetryRun') + second.count('RetryRun')).toBe(before + 1);
    const { newRunId } = await connection.mutate(retryRun, { runId }, { idempotencyKey: 'k' });
    expect(first.services.effects).toHaveLength(1);
    expect(second.services.effects).toHaveLength(0);
    expect(first.data.run(newRunId)).toBeDefined();
  });

  it.each(['http1', 'http2'] as const)('dials anew after a restart, over %s', async (protocols) => {
    const first = await subsystem(protocols);
    const connection = connect([first.endpoint]);
    await connection.read(getRun, { runId });
    const { port } = first;
    await first.stop();
    closing.pop();
    closing.pop();
    closing.push(() => connection.close());
    expect((await errorOf(connection.read(getRun, { runId }))).code).toBe(Code.Unavailable);
    // What listens there now speaks the other version.
    const again = await subsystem(protocols === 'http1' ? 'http2' : 'http1', port);
    await connection.mutate(cancelRun, { runId });
    expect(again.services.effects).toHaveLength(1);
  });

  it('shares connections: one for a hundred calls at once, another for more', async () => {
    const one = await subsystem();
    const connection = connect([one.endpoint]);
    const release = one.hold('GetRun');
    const calls = Array.from({ length: 250 }, () => connection.read(getRun, { runId }));
    await until(() => one.count('GetRun') === 250);
    expect(one.accepted).toBe(3);
    release();
    await Promise.all(calls);
  });

  it('lets those that have left finish, and calls them no more', async () => {
    const [first, second] = [await subsystem(), await subsystem()];
    let endpoints = [first.endpoint];
    const connection = connect(() => endpoints);
    const release = first.hold('GetRun');
    const begun = connection.read(getRun, { runId });
    await until(() => first.count('GetRun') === 1);
    endpoints = [second.endpoint];
    await connection.read(getRun, { runId });
    release();
    expect((await begun).run?.id).toBe(runId);
    expect(second.count('GetRun')).toBe(1);
    await until(() => first.connections === 0);
    endpoints = [];
    expect((await errorOf(connection.read(getRun, { runId }))).code).toBe(Code.Unavailable);
  });

  it('does not try one that cannot be connected to again and again', async () => {
    let dials = 0;
    const clock = new FakeClock();
    const connection = connect(['http://dead.test:1'], {
      clock,
      resolve: () => {
        dials += 1;
        return Promise.resolve([{ address: '127.0.0.1', family: 4 }]);
      },
    });
    for (let call = 0; call < 20; call += 1) await errorOf(connection.read(getRun, { runId }));
    expect(dials).toBe(5);
    await clock.advance(1_001);
    for (let call = 0; call < 20; call += 1) await errorOf(connection.read(getRun, { runId }));
    expect(dials).toBe(6);
    await clock.advance(60_000);
    for (let call = 0; call < 20; call += 1) await errorOf(connection.read(getRun, { runId }));
    expect(dials).toBe(7);
  });

  it('finds a half-open connection by its pings: a stream ends, calls go on over another', async () => {
    const one = await subsystem();
    const proxy = await new SilencingProxy(one.port).start();
    closing.push(() => proxy.stop());
    const clock = new FakeClock();
    const connection = connect([proxy.endpoint], { clock });
    const events = connection.stream(watchRuns, { includeInitialSnapshot: true })[Symbol.asyncIterator]();
    for (let read = 0; read < 3; read += 1) await events.next();
    const next = errorOf(events.next());
    for (let answered = 0; answered < 5; answered += 1) {
      await clock.advance(15_000);
      await until(() => clock.nextTimerInMs === 15_000);
    }
    proxy.silence();
    await clock.advance(25_000);
    expect((await next).code).toBe(Code.Unavailable);
  });

  it('closes a connection that nobody uses', async () => {
    const one = await subsystem();
    const clock = new FakeClock();
    const connection = connect([one.endpoint], { clock });
    await connection.read(getRun, { runId });
    expect(one.connections).toBe(1);
    await clock.advance(15_000);
    await until(() => clock.nextTimerInMs === 15_000);
    await clock.advance(15_000);
    await until(() => one.connections === 0);
    expect((await connection.read(getRun, { runId })).run?.id).toBe(runId);
  });

  it.each(['http1', 'http2'] as const)('sends no header but its own, over %s', async (protocols) => {
    const one = await subsystem(protocols);
    const connection = connect([one.endpoint]);
    await connection.read(getRun, { runId }, { gatewayPath: 'first, second', idempotencyKey: 'k', timeoutMs: 500 });
    const headers = one.received[0]?.headers ?? {};
    const wire =
      protocols === 'http2' ? [':authority', ':method', ':path', ':scheme'] : ['connection', 'host', 'content-length'];
    expect(Object.keys(headers).toSorted()).toEqual(
      [
        ...wire,
        'connect-protocol-version',
        'connect-timeout-ms',
        'content-type',
        'crowsnest-gateway-path',
        'idempotency-key',
        'user-agent',
      ].toSorted(),
    );
    expect(headers['crowsnest-gateway-path']).toBe('first, second, here');
    expect(headers['user-agent']).toMatch(/^crowsnest\/\S+ \(here\)$/);
    expect(Number(headers['connect-timeout-ms'])).toBeLessThanOrEqual(500);
    expect((await errorOf(connection.read(getRun, { runId }, { idempotencyKey: 'a\r\nauthorization: x' }))).code).toBe(
      Code.InvalidArgument,
    );
    expect(one.received).toHaveLength(1);
  });

  it.each([
    'http://169.254.169.254',
    'http://[::ffff:169.254.169.254]:80',
    'http://2852039166',
    'http://100.100.100.200',
    'http://[fd00:ec2::254]',
    'http://0.0.0.0:80',
    'http://127.0.0.1:8091',
    'http://[::1]:8091',
    'https://metadata.test',
  ])('opens no connection to %s', async (endpoint) => {
    const connection = connect([endpoint], {
      servesLoopbackOnly: false,
      resolve: () => Promise.resolve([{ address: '169.254.169.254', family: 4 }]),
    });
    const error = await errorOf(connection.mutate(cancelRun, { runId }));
    expect(error).toMatchObject({
      code: Code.Unavailable,
      rawMessage: expect.stringMatching(/^subsystem billing: it cannot be reached; ask again/),
    });
  });

  it.each(['h2', 'http/1.1'])('speaks %s over TLS to whom it trusts', async (version) => {
    const authority = new CertificateAuthority(mkdtempSync(join(tmpdir(), 'subsystem-tls-')));
    const { certificate, key } = authority.issue({
      commonName: 'subsystem',
      usage: 'serverAuth',
      alternativeNames: ['IP:127.0.0.1'],
    });
    const services = new SubsystemServices(new SubsystemData({ id: 'a' }));
    const listener = rpcListener((router) => services.register(router), []);
    const versions = new Set<string>();
    const answer = (request: RpcRequest, response: RpcResponse): void => {
      versions.add(request.httpVersion);
      void listener(request, response);
    };
    const credential = { cert: certificate, key };
    const server = version === 'h2' ? createSecureServer(credential, answer) : createHttps(credential, answer);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    closing.push(() => new Promise((resolve) => server.close(resolve)));
    const endpoint = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const trusting = connect([endpoint], { trust: { ca: authority.certificate } });
    expect((await trusting.read(getRun, { runId })).run?.id).toBe(runId);
    expect([...versions]).toEqual([version === 'h2' ? '2.0' : '1.1']);
    expect((await errorOf(connect([endpoint]).read(getRun, { runId }))).code).toBe(Code.Unavailable);
  });
});
