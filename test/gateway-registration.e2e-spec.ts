import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  type ConnectToGatewayOptions,
  type GatewayConnectionEvent,
  connectToGateway,
} from '../src/gateway/client/connect-to-gateway.js';
import { SystemClock } from '../src/runtime/clock.js';
import { CryptoRandom } from '../src/runtime/random.js';
import type { Runnable } from '../src/runtime/runnable.js';
import { ApiClient, eventually } from './support/api-client.js';
import { EventStreamParser } from './support/event-stream-parser.js';
import { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { Service } from './support/service.js';

const NEVER = new AbortController().signal;
const KEY = 'key-for-any-subsystem';
/** Fast, so that nobody waits; the ratios are those of the defaults. */
const ENVIRONMENT = {
  CROWSNEST_GATEWAY_API_KEY: KEY,
  CROWSNEST_GATEWAY_HEARTBEAT: '400ms',
  CROWSNEST_GATEWAY_GRACE: '1200ms',
};

interface Subsystem {
  readonly id: string;
  readonly state: string;
  readonly workflowCount: number;
  readonly instances: ReadonlyArray<{
    readonly endpoint: string;
    readonly state: string;
    readonly source: string;
    readonly roundTripMs: number | null;
    readonly failure: string | null;
  }>;
}

let service: Service;
let api: ApiClient;
const disposals: Array<() => Promise<unknown>> = [];

beforeAll(async () => {
  service = await Service.start({ environment: ENVIRONMENT });
  api = new ApiClient(service.url);
});
afterAll(() => service.dispose());
afterEach(async () => {
  for (const dispose of disposals.splice(0).toReversed()) await dispose();
});

const startSubsystem = async (id: string): Promise<FlowWatchSubsystem> => {
  const subsystem = await new FlowWatchSubsystem({ id }).start();
  disposals.push(() => subsystem.stop());
  return subsystem;
};
const register = async (
  id: string,
  localEndpoint: string,
  more: Partial<ConnectToGatewayOptions> = {},
): Promise<{ runnable: Runnable; events: GatewayConnectionEvent[] }> => {
  const events: GatewayConnectionEvent[] = [];
  const runnable = connectToGateway({
    id,
    localEndpoint,
    gatewayAddress: service.url,
    key: KEY,
    clock: new SystemClock(),
    random: new CryptoRandom(),
    onEvent: (event) => void events.push(event),
    ...more,
  });
  await runnable.start(NEVER);
  disposals.push(() => runnable.stop(NEVER));
  return { runnable, events };
};
const find = (id: string, from = api) => from.call<Subsystem>('GET', `/gateway/subsystems/${id}`);
const untilState = (id: string, state: string, from = api) =>
  eventually(
    () => find(id, from),
    ({ status, body }) => (state === 'removed' ? status === 404 : body.state === state),
    20_000,
  );

describe('a subsystem that registers itself', () => {
  it('is called back, shown, kept alive, and forgotten after the grace period', async () => {
    const subsystem = await startSubsystem('billing');
    const { runnable, events } = await register('billing', subsystem.endpoint);
    const { body } = await untilState('billing', 'connected');
    expect(body).toMatchObject({
      id: 'billing',
      tenantId: 'default',
      capabilities: { streaming: true, search: true },
      instances: [{ endpoint: subsystem.endpoint, source: 'stream', sessions: 1, failure: null }],
    });
    expect(body.workflowCount).toBeGreaterThan(0);
    await eventually(
      () => find('billing'),
      ({ body: { instances } }) => instances[0]?.roundTripMs !== null,
      5_000,
    );
    expect(events).toEqual([{ kind: 'registered', heartbeatMs: 400 }]);
    expect(subsystem.received.every(({ headers }) => headers.authorization === undefined)).toBe(true);
    await runnable.stop(NEVER);
    await untilState('billing', 'stale');
    await untilState('billing', 'removed');
  });

  it('may come before its own port listens', async () => {
    const early = await startSubsystem('early');
    const { endpoint, port } = early;
    await early.stop();
    await register('early', endpoint);
    const { body } = await eventually(
      () => find('early'),
      ({ body: { instances } }) => instances?.[0]?.failure === 'refused',
      5_000,
    );
    expect(body.state).toBe('connecting');
    const subsystem = await new FlowWatchSubsystem({ id: 'early', port }).start();
    disposals.push(() => subsystem.stop());
    await untilState('early', 'connected');
  });

  it('is left out while its port is dead and its stream lives, and taken back', async () => {
    const subsystem = await startSubsystem('portless');
    const { endpoint, port } = subsystem;
    const { events } = await register('portless', endpoint);
    await untilState('portless', 'connected');
    await subsystem.stop();
    const askUntil = (state: string): Promise<unknown> =>
      eventually(
        async () => (await api.call('GET', '/gateway/runs'), find('portless')),
        ({ body }) => body.state === state,
        20_000,
      );
    await askUntil('connecting');
    expect((await find('portless')).body.instances).toMatchObject([{ state: 'connecting', failure: 'refused' }]);
    const again = await new FlowWatchSubsystem({ id: 'portless', port }).start();
    disposals.push(() => again.stop());
    await askUntil('connected');
    expect((await find('portless')).body.instances).toMatchObject([{ state: 'connected', failure: null }]);
    expect(events).toEqual([{ kind: 'registered', heartbeatMs: 400 }]);
  });

  it('is connected all through a rolling restart of its two replicas', async () => {
    const [first, second] = [await startSubsystem('rolling'), await startSubsystem('rolling')];
    const one = await register('rolling', first.endpoint);
    await untilState('rolling', 'connected');
    const two = await register('rolling', second.endpoint);
    const both = (): Promise<unknown> =>
      eventually(
        () => find('rolling'),
        ({ body }) => body.instances.filter(({ state }) => state === 'connected').length === 2,
        20_000,
      );
    await both();
    const stop = new AbortController();
    const parser = new EventStreamParser();
    const watched = watch('/streams?key=subsystem:rolling', parser, stop.signal);
    await eventually(
      () => Promise.resolve(parser.events.length),
      (count) => count > 0,
      5_000,
    );
    for (const [replica, endpoint] of [
      [one, first.endpoint],
      [two, second.endpoint],
    ] as const) {
      await replica.runnable.stop(NEVER);
      await eventually(
        () => find('rolling'),
        ({ body }) => body.instances.some(({ state }) => state === 'stale'),
        5_000,
      );
      await register('rolling', endpoint);
      await both();
    }
    stop.abort();
    await watched;
    const states = parser.events
      .filter(({ type }) => type === 'subsystem_update')
      .map(({ data }) => (JSON.parse(data) as { data: Subsystem }).data.state);
    expect(states.length).toBeGreaterThan(3);
    expect(new Set(states)).toEqual(new Set(['connected']));
    expect([...one.events, ...two.events].map(({ kind }) => kind)).toEqual(['registered', 'registered']);
  });

  it.each([
    ['a wrong key', { key: 'wrong' }, /key/],
    ['a metadata address', { localEndpoint: 'http://169.254.169.254' }, /metadata/],
    ['a file', { localEndpoint: 'file:///etc/passwd' }, /expected/],
    ['an id of two parts', { id: 'a~b' }, /subsystem_id/],
  ])('is refused with %s, and told why', async (_name, wrong, reason) => {
    const { events } = await register('hostile', 'http://127.0.0.1:1', wrong);
    const [event] = await eventually(
      () => Promise.resolve(events),
      ({ length }) => length > 0,
      5_000,
    );
    expect(event).toMatchObject({ kind: 'refused', reason: expect.stringMatching(reason) });
    expect((await find('hostile')).status).toBe(404);
  });

  it('is told to leave if its endpoint is the gateway itself', async () => {
    const { events } = await register('mirror', service.url);
    await eventually(
      () => Promise.resolve(events),
      (all) => all.some(({ kind }) => kind === 'left'),
      10_000,
    );
    expect(events[1]).toMatchObject({ kind: 'left', reason: expect.stringMatching(/leads back to this gateway/) });
  });

  it('is told to leave by DELETE, and left out by mark-stale', async () => {
    const subsystem = await startSubsystem('leaving');
    const { events } = await register('leaving', subsystem.endpoint);
    await untilState('leaving', 'connected');
    const marked = await api.must<Subsystem>('POST', '/gateway/subsystems/leaving/mark-stale');
    expect(marked.state).toBe('stale');
    await untilState('leaving', 'connected');
    expect((await api.call('DELETE', '/gateway/subsystems/leaving')).status).toBe(204);
    await eventually(
      () => Promise.resolve(events),
      (all) => all.length > 1,
      5_000,
    );
    expect(events[1]).toMatchObject({ kind: 'left', reason: 'deregistered' });
  });
});

describe('a subsystem that a person registers', () => {
  it('is stored, kept alive, and gone with DELETE', async () => {
    const subsystem = await startSubsystem('manual');
    const body = { id: 'manual', endpoint: subsystem.endpoint, metadata: { 'a.b/$c': 'd' } };
    const headers = { 'Idempotency-Key': 'once' };
    const made = await api.call('POST', '/gateway/subsystems', { body, headers });
    expect([made.status, made.headers.get('location')]).toEqual([201, '/api/v1/gateway/subsystems/manual']);
    const repeated = await api.call('POST', '/gateway/subsystems', { body, headers });
    expect([repeated.status, repeated.headers.get('idempotency-replayed')]).toEqual([201, 'true']);
    const again = await api.call('POST', '/gateway/subsystems', { body });
    expect(again).toMatchObject({ status: 409, body: { code: 'subsystem.already_registered' } });
    const { body: shown } = await untilState('manual', 'connected');
    expect(shown).toMatchObject({ metadata: { 'a.b/$c': 'd' }, instances: [{ source: 'rest' }] });
    const list = await api.must<{ items: Subsystem[] }>('GET', '/gateway/subsystems?state=connected');
    expect(list.items.map(({ id }) => id)).toContain('manual');
    expect((await api.call('DELETE', '/gateway/subsystems/manual')).status).toBe(204);
    expect((await find('manual')).status).toBe(404);
    expect((await api.call('DELETE', '/gateway/subsystems/manual')).status).toBe(404);
    const { items } = await api.must<{ items: Array<{ action: string }> }>('GET', '/audit-logs?limit=50');
    const actions = items.map(({ action }) => action);
    expect(actions).toEqual(expect.arrayContaining(['subsystem.create', 'subsystem.delete']));
  });

  it('is paged by id', async () => {
    for (const [port, id] of ['page-c', 'page-a', 'page-b'].entries()) {
      await api.must('POST', '/gateway/subsystems', { body: { id, endpoint: `http://127.0.0.1:${port + 1}` } });
      disposals.push(() => api.call('DELETE', `/gateway/subsystems/${id}`));
    }
    const ids: string[] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const query: string = cursor === '' ? '' : `&cursor=${cursor}`;
      const page: { items: Subsystem[]; nextCursor: string | null } = await api.must(
        'GET',
        `/gateway/subsystems?limit=1${query}`,
      );
      expect(page.items.length).toBeLessThanOrEqual(1);
      ids.push(...page.items.map(({ id }) => id));
      cursor = page.nextCursor;
    }
    expect(ids.filter((id) => id.startsWith('page-'))).toEqual(['page-a', 'page-b', 'page-c']);
    expect(new Set(ids).size).toBe(ids.length);
  });

  it.each([
    [{ id: '~' }, ['id']],
    [{ endpoint: 'nowhere' }, ['endpoint']],
    [{ id: '~', endpoint: 'nowhere' }, ['id', 'endpoint']],
    [{ name: 'n'.repeat(257) }, ['name']],
    [{ metadata: { key: 1 } }, ['metadata.key']],
    [{ state: 'connected' }, ['state']],
  ])('has to be described well: %j', async (wrong, paths) => {
    const body = { id: 'wrong', endpoint: 'http://127.0.0.1:1', ...wrong };
    const answer = await api.call<{ errors: Array<{ path: string }> }>('POST', '/gateway/subsystems', { body });
    expect([answer.status, answer.body.errors.map(({ path }) => path)]).toEqual([422, paths]);
  });

  it('may not stand at an address that is never called', async () => {
    const body = { id: 'wrong', endpoint: 'http://169.254.169.254' };
    const answer = await api.call('POST', '/gateway/subsystems', { body });
    expect(answer).toMatchObject({ status: 422, body: { code: 'egress.refused', errors: [{ path: 'endpoint' }] } });
  });
});

describe('a gateway that is restarted', () => {
  const SUBSYSTEMS = 50;

  it('takes leave of all, knows what people registered, and has all back', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'crowsnest-gateway-'));
    disposals.push(() => rm(dataDir, { recursive: true, force: true }));
    const subsystem = await startSubsystem('shared');
    let gateway = await Service.start({ environment: ENVIRONMENT, dataDir });
    disposals.push(() => gateway.dispose());
    const { url } = gateway;
    const client = new ApiClient(url);
    const body = { id: 'by-hand', endpoint: subsystem.endpoint };
    await client.must('POST', '/gateway/subsystems', { body });
    const all = [];
    for (let n = 0; n < SUBSYSTEMS; n += 1) {
      all.push(await register(`s-${n}`, subsystem.endpoint, { gatewayAddress: url }));
    }
    const allConnected = (): Promise<unknown> =>
      eventually(
        () => client.must<{ items: Subsystem[] }>('GET', '/gateway/subsystems?state=connected&limit=200'),
        ({ items }) => items.length === SUBSYSTEMS + 1,
        40_000,
      );
    await allConnected();
    expect(await gateway.end('SIGTERM')).toBe(0);
    for (const { events } of all) expect(events[1]).toMatchObject({ kind: 'left' });
    gateway = await Service.start({ environment: { ...ENVIRONMENT, PORT: new URL(url).port }, dataDir });
    await allConnected();
    expect(gateway.lines.filter(({ level }) => level === 'error')).toEqual([]);
  }, 90_000);
});

async function watch(path: string, parser: EventStreamParser, signal: AbortSignal): Promise<void> {
  try {
    const { body } = await fetch(service.api(path), { signal });
    for await (const chunk of body ?? []) parser.push(chunk as Uint8Array);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
