import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { LookupAddress } from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import { SystemClock } from '../runtime/clock.js';
import { DialError } from './dial-error.js';
import { EgressPolicy } from './egress-policy.js';
import { EgressRefused } from './egress-refused.js';
import { GuardedDialer, type ResolveHost } from './guarded-dialer.js';

const at = (...addresses: string[]): LookupAddress[] =>
  addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 }));

async function errorOf(work: Promise<Socket>): Promise<unknown> {
  try {
    (await work).destroy();
  } catch (error) {
    return error;
  }
  throw new Error('it connected');
}

describe('GuardedDialer', () => {
  let server: Server;
  let port: number;
  const accepted: Socket[] = [];

  beforeAll(async () => {
    server = createServer((socket) => {
      socket.on('error', () => undefined);
      accepted.push(socket);
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    port = (server.address() as AddressInfo).port;
  });
  afterAll(() => {
    for (const socket of accepted) socket.destroy();
    server.close();
  });

  const policy = (servesLoopbackOnly: boolean): EgressPolicy =>
    new EgressPolicy({ allow: [], deny: [], servesLoopbackOnly });
  const dialer = (resolve?: ResolveHost, servesLoopbackOnly = false, clock = new SystemClock()): GuardedDialer =>
    new GuardedDialer(policy(servesLoopbackOnly), clock, resolve);
  const target = (host: string): { host: string; port: number; timeoutMs: number } => ({
    host,
    port,
    timeoutMs: 2_000,
  });

  it.each([
    '127.0.0.1',
    '127.1',
    '2130706433',
    '0x7f000001',
    '0',
    '0.0.0.0',
    '[::]',
    '[::ffff:127.0.0.1]',
    'localhost',
  ])('opens no connection to %s', async (host) => {
    const before = accepted.length;
    expect(await errorOf(dialer().dial(target(host)))).toBeInstanceOf(EgressRefused);
    expect(accepted.length).toBe(before);
  });

  it('refuses a name when any of its addresses is refused', async () => {
    const error = await errorOf(
      dialer(() => Promise.resolve(at('8.8.8.8', '169.254.169.254'))).dial(target('mixed.test')),
    );
    expect(error).toMatchObject({ host: 'mixed.test', address: '169.254.169.254', addressClass: 'never' });
  });

  it('uses the addresses that it has checked: a resolver that answers otherwise the second time is not asked', async () => {
    let asked = 0;
    const rebinding: ResolveHost = () => Promise.resolve(at(asked++ === 0 ? '192.0.2.255' : '127.0.0.1'));
    const turned: ResolveHost = () => Promise.resolve(at(asked++ === 0 ? '127.0.0.1' : '169.254.169.254'));
    const before = accepted.length;
    expect(await errorOf(dialer(rebinding, true).dial(target('rebind.test')))).toBeInstanceOf(EgressRefused);
    expect(accepted.length).toBe(before);
    asked = 0;
    const socket = await dialer(turned, true).dial(target('rebind.test'));
    expect(asked).toBe(1);
    expect(socket.remoteAddress).toBe('127.0.0.1');
    socket.destroy();
  });

  it('tries the next address when one does not answer', async () => {
    const socket = await dialer(() => Promise.resolve(at('127.0.0.2', '127.0.0.1')), true).dial(target('two.test'));
    expect(socket.remoteAddress).toBe('127.0.0.1');
    socket.destroy();
  });

  it('looks at no proxy variable', async () => {
    const before = accepted.length;
    process.env['HTTPS_PROXY'] = `http://127.0.0.1:${port}`;
    try {
      expect(await errorOf(dialer(undefined, true).dial({ ...target('127.0.0.1'), port: 1 }))).toMatchObject({
        failure: 'refused',
      });
    } finally {
      delete process.env['HTTPS_PROXY'];
    }
    expect(accepted.length).toBe(before);
  });

  it('tells a name without addresses, a resolver that fails and a closed port', async () => {
    expect(await errorOf(dialer(() => Promise.resolve([])).dial(target('none.test')))).toMatchObject({
      failure: 'dns',
    });
    expect(await errorOf(dialer().dial(target('no-such-host.invalid')))).toMatchObject({ failure: 'dns' });
    expect(await errorOf(dialer().dial(target('not a host')))).toMatchObject({ failure: 'dns' });
    expect(await errorOf(dialer(undefined, true).dial({ ...target('127.0.0.1'), port: 1 }))).toMatchObject({
      failure: 'refused',
    });
  });

  it('ends at its deadline and leaves no timer, also when a resolver or a handshake hangs', async () => {
    const clock = new FakeClock();
    const hanging = errorOf(dialer(() => new Promise(() => undefined), true, clock).dial(target('slow.test')));
    await clock.advance(2_000);
    expect(await hanging).toMatchObject({ failure: 'timeout' });
    const handshake = errorOf(dialer(undefined, true, clock).dialTls(target('127.0.0.1'), {}));
    const [silent] = (await once(server, 'connection')) as [Socket];
    await settle();
    await clock.advance(2_000);
    expect(await handshake).toBeInstanceOf(DialError);
    if (!silent.closed) await once(silent.resume(), 'close');
    expect(clock.pendingTimers).toBe(0);
  });

  it('ends with the caller’s reason', async () => {
    const abort = new AbortController();
    const reason = new Error('enough');
    const dialled = errorOf(
      dialer(() => new Promise(() => undefined)).dial({ ...target('slow.test'), signal: abort.signal }),
    );
    abort.abort(reason);
    expect(await dialled).toBe(reason);
  });
});
