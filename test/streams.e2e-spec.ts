import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { Agent, type IncomingMessage, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { freePort } from './control-plane/free-port.js';
import { ApiClient, eventually } from './support/api-client.js';
import { EventStreamParser } from './support/event-stream-parser.js';
import { configMap } from './support/manifests.js';
import { type Outcome, randomStreamRequests, send } from './support/random-stream-requests.js';
import { Service } from './support/service.js';
import { StreamClient } from './support/stream-client.js';

const secretOf = (name: string): string => `${name}-0123456789abcdef`;
const KEYS = ['dash:viewer', 'ops:admin', 'stranger:admin@team-b'].map(
  (key) => `${key}:${secretOf(key.split(':')[0] ?? '')}`,
);
const FORGED = `cst_${'A'.repeat(43)}`;

interface Issued {
  readonly id: string;
  readonly ticket: string;
  readonly path: string;
}

interface Stats {
  readonly sessions: number;
}

/** A stream on a bare connection, so that its head, its end and what it resumes from are seen. */
async function openRaw(url: string, headers: Record<string, string> = {}) {
  const request = get(url, { headers, agent: false });
  const [answer] = (await once(request, 'response')) as [IncomingMessage];
  const parser = new EventStreamParser();
  answer.on('data', (chunk: Buffer) => parser.push(chunk));
  answer.on('error', () => undefined);
  const ended = new Promise<void>((resolve) => answer.once('close', resolve));
  const waitFor = (type: string, count = 1): Promise<unknown> =>
    eventually(
      async () => parser.events.filter((event) => event.type === type).length,
      (seen) => seen >= count,
    );
  return { status: answer.statusCode, parser, ended, waitFor, close: () => answer.destroy() };
}

describe('event streams', () => {
  let dataDir: string;
  let port: number;
  let service: Service;
  let ops: ApiClient;
  let clusterId: string;
  let workflowId: string;
  const transcripts: string[] = [];
  const issued: string[] = [];
  const sources: StreamClient[] = [];

  const start = async (): Promise<void> => {
    service = await Service.start({
      dataDir,
      environment: {
        PORT: String(port),
        LOG_LEVEL: 'debug',
        CROWSNEST_API_KEYS: KEYS.join(),
        CROWSNEST_STREAM_MAX_AGE: '1s',
        CROWSNEST_STREAM_RETRY: '50ms',
      },
    });
  };
  const stop = async (): Promise<void> => {
    expect(await service.end('SIGTERM')).toBe(0);
    transcripts.push(service.text);
  };
  const issue = async (keys: readonly string[], by = 'dash'): Promise<Issued> => {
    // A client of its own: the others' transcripts are searched for tickets.
    const client = new ApiClient(service.url, secretOf(by));
    const ticket = await client.must<Record<string, unknown> & Issued>('POST', '/streams/tickets', { body: { keys } });
    issued.push(ticket.ticket);
    return ticket;
  };
  const listen = (url: string, key?: string): StreamClient => {
    const client = new StreamClient(url, key);
    sources.push(client);
    return client;
  };
  const sessions = async (): Promise<number> =>
    (await ops.must<Record<string, unknown> & Stats>('GET', '/streams/stats')).sessions;
  const execute = async (): Promise<string> =>
    String((await ops.must('POST', `/workflows/${workflowId}/execute`))['id']);
  /** The cluster is away, so a run ends when it is cancelled, if not before. */
  const endRun = async (runId: string): Promise<string> => {
    await ops.call('POST', `/workflows/${workflowId}/runs/${runId}/cancel`);
    const { state } = await eventually(
      () => ops.must<Record<string, unknown>>('GET', `/workflows/${workflowId}/runs/${runId}`),
      (run) => run['state'] !== 'running',
    );
    return String(state);
  };

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'crowsnest-streams-'));
    port = await freePort();
    await start();
    ops = new ApiClient(service.url, secretOf('ops'));
    const cluster = { name: 'away', token: { server: 'https://127.0.0.1:1', token: 'not-a-real-token' } };
    clusterId = String((await ops.must('POST', '/clusters', { body: cluster }))['id']);
    const nodes = [{ id: 'settings', manifest: configMap('settings') }];
    const workflow = { name: 'shop', clusterId, namespace: 'default', nodes };
    workflowId = String((await ops.must('POST', '/workflows', { body: workflow }))['id']);
  }, 30_000);
  afterEach(() => {
    for (const source of sources.splice(0)) source.close();
  });
  afterAll(async () => {
    await service.dispose();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('lead an EventSource with a ticket over maximum ages and a restart to the state that is stored', async () => {
    const { path } = await issue(['clusters', `workflow:${workflowId}`]);
    const client = listen(`${service.url}${path}`);
    let opened = 0;
    client.source.addEventListener('open', () => (opened += 1));
    await client.waitFor(({ event, envelope }) => event === 'snapshot' && envelope.type === 'workflow');
    await eventually(
      async () => opened,
      (times) => times >= 3,
    );
    // Nothing was missed meanwhile, so each return resumed where the stream was.
    expect(client.events.filter(({ event }) => event === 'snapshot')).toHaveLength(2);

    const first = await execute();
    const firstState = await endRun(first);
    await client.waitFor(({ envelope: { data } }) => data['id'] === first && data['state'] === firstState);

    const before = client.events.length;
    await stop();
    await start();
    await client.waitFor(({ event, envelope }) => event === 'snapshot' && envelope.type === 'workflow', 20_000, before);
    const second = await execute();
    const state = await endRun(second);
    await client.waitFor(({ envelope: { data } }) => data['id'] === second && data['state'] === state, 20_000, before);
    expect(client.events.some(({ event }) => event === 'shutdown')).toBe(true);
    expect(client.source.readyState).not.toBe(client.source.CLOSED);
  }, 60_000);

  it('give many keys to one connection, and from a Last-Event-ID on just what was missed', async () => {
    const url = service.api(`/streams?key=clusters&key=workflow:${workflowId}&key=cluster:${clusterId}`);
    const authorization = `Bearer ${secretOf('dash')}`;
    const stream = await openRaw(url, { authorization });
    await stream.waitFor('snapshot', 3);
    const streamKeys = stream.parser.events.map(({ data }) => (JSON.parse(data) as { streamKey: string }).streamKey);
    expect(streamKeys.toSorted()).toEqual(['clusters', `cluster:${clusterId}`, `workflow:${workflowId}`].toSorted());
    stream.close();
    const position = stream.parser.events.at(-1)?.lastEventId ?? '';
    const run = await execute();
    await endRun(run);
    const versionOf = (data: string): unknown => (JSON.parse(data) as { data: { version: number } }).data.version;
    const { version } = await ops.must<Record<string, unknown>>('GET', `/workflows/${workflowId}/runs/${run}`);
    for (const [suffix, headers] of [
      ['', { 'last-event-id': position }],
      [`&lastEventId=${position}`, {}],
      ['&lastEventId=older.1', { 'last-event-id': position }],
    ] as const) {
      const resumed = await openRaw(`${url}${suffix}`, { authorization, ...headers });
      const last = (): boolean =>
        resumed.parser.events.some(({ type, data }) => type === 'run_update' && versionOf(data) === version);
      await eventually(
        async () => last(),
        (seen) => seen,
      );
      const { events } = resumed.parser;
      expect(events.map(({ type }) => type)).not.toContain('snapshot');
      const sequences = events.map(({ lastEventId }) => Number(lastEventId.split('.')[1]));
      expect(sequences).toEqual([...new Set(sequences)].toSorted((a, b) => a - b));
      resumed.close();
    }
  }, 30_000);

  it('end with their run, and tell an EventSource that comes back that nothing follows', async () => {
    const run = await execute();
    const client = listen(service.api(`/streams?key=run:${run}`), secretOf('dash'));
    const closed = new Promise<void>((resolve) => {
      client.source.addEventListener('error', () => {
        if (client.source.readyState === client.source.CLOSED) resolve();
      });
    });
    await client.waitFor(({ event }) => event === 'snapshot');
    const state = await endRun(run);
    await closed;
    const states = client.events.flatMap(({ event, envelope: { data } }) => {
      if (event === 'run_update') return [data];
      return event === 'snapshot'
        ? (data['items'] as Array<{ data: Record<string, unknown> }>).map((item) => item.data)
        : [];
    });
    expect(states.at(-1)).toMatchObject({ id: run, state });
    const url = service.api(`/streams?key=run:${run}`);
    const authorization = `Bearer ${secretOf('dash')}`;
    const again = await openRaw(url, { authorization });
    await again.ended;
    expect(again.parser.events.map(({ type }) => type)).toEqual(['snapshot']);
    const back = await openRaw(url, { authorization, 'last-event-id': again.parser.events[0]?.lastEventId ?? '' });
    expect(back.status).toBe(204);
  }, 30_000);

  it('let the newer of two connections with one ticket live', async () => {
    const { path } = await issue(['clusters']);
    const older = await openRaw(`${service.url}${path}`);
    await older.waitFor('snapshot');
    const position = older.parser.events[0]?.lastEventId ?? '';
    let isOver = false;
    void older.ended.then(() => (isOver = true));
    const newer = await openRaw(`${service.url}${path}&lastEventId=${position}`);
    expect(newer.status).toBe(200);
    await eventually(
      async () => isOver,
      (over) => over,
      900,
    );
    newer.close();
    expect(await openRaw(`${service.url}${path}`)).toMatchObject({ status: 401 });
  });

  it('stop an EventSource for good when its ticket is revoked', async () => {
    const { path, id } = await issue(['clusters']);
    const client = listen(`${service.url}${path}`);
    await client.waitFor(({ event }) => event === 'snapshot');
    const codes: unknown[] = [];
    client.source.addEventListener('error', ({ code }) => codes.push(code));
    await new ApiClient(service.url, secretOf('dash')).must('DELETE', `/streams/tickets/${id}`);
    await eventually(
      async () => client.source.readyState,
      (state) => state === client.source.CLOSED,
    );
    expect(codes.at(-1)).toBe(401);
  });

  it('survive 10 000 random requests: no 5xx, nothing left subscribed', async () => {
    const run = await execute();
    await endRun(run);
    const keys = ['clusters', `workflow:${workflowId}`, `cluster:${clusterId}`, `run:${run}`];
    const tickets = await Promise.all(
      Array.from({ length: 20 }, (_, n) => issue([keys[n % keys.length] ?? 'clusters'])),
    );
    const known = {
      ids: [workflowId, clusterId, run],
      keys,
      tickets: tickets.map(({ ticket }) => ticket),
      ticketIds: tickets.map(({ id }) => id),
      secrets: ['dash', 'ops', 'stranger', 'nobody'].map(secretOf),
    };
    const seed = Number(process.env['FUZZ_SEED'] ?? Date.now() % 2 ** 31);
    const requests = randomStreamRequests(known, 10_000, seed);
    const agent = new Agent({ keepAlive: true, maxSockets: 50 });
    const outcomes = new Map<Outcome, number>();
    const failures: unknown[] = [];
    const queue = requests.values();
    const work = async (): Promise<void> => {
      for (const request of queue) {
        const outcome = await send(service.url, agent, request);
        outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
        if (typeof outcome === 'number' && outcome >= 500) failures.push({ seed, outcome, request });
      }
    };
    await Promise.all(Array.from({ length: 50 }, work));
    agent.destroy();
    expect(failures).toEqual([]);
    // The requests got everywhere, and not one connection was cut by the service.
    for (const status of [200, 201, 204, 401, 404, 406, 422, 'left'] as const) {
      expect([seed, status, outcomes.get(status)]).toEqual([seed, status, expect.any(Number)]);
    }
    expect([seed, outcomes.get('cut')]).toEqual([seed, undefined]);
    expect(await eventually(sessions, (open) => open === 0)).toBe(0);
    const { path } = await issue(['clusters'], 'ops');
    const stream = await openRaw(`${service.url}${path}`);
    await stream.waitFor('snapshot');
    expect(await sessions()).toBe(1);
    stream.close();
    expect(await eventually(sessions, (open) => open === 0)).toBe(0);
  }, 120_000);

  it('keep tickets out of logs, problems, metrics and files', async () => {
    const { path, ticket } = await issue(['clusters']);
    const stream = await openRaw(`${service.url}${path}`);
    await stream.waitFor('snapshot');
    stream.close();
    const nobody = new ApiClient(service.url);
    for (const [method, where] of [
      ['GET', `/streams?ticket=${ticket}`],
      ['GET', `/streams?ticket=${FORGED}`],
      ['GET', `/streams/nothing?ticket=${ticket}`],
      ['GET', `/streams?key=pods&ticket=${ticket}`],
      ['GET', `/streams?ticket=${ticket}&ticket=${ticket}`],
      ['GET', `/streams/workflows/${workflowId}?ticket=${ticket}&lastEventId=1`],
      ['POST', `/streams?ticket=${ticket}`],
      ['GET', `/workflows?ticket=${ticket}`],
      ['GET', `/streams/${ticket}`],
      ['DELETE', `/streams/tickets/${ticket}`],
    ] as const) {
      const { status } = await nobody.call(method, where);
      expect([where, status]).toEqual([where, expect.any(Number)]);
      expect(status).toBeGreaterThanOrEqual(400);
    }
    await nobody.call('GET', '/streams', { headers: { authorization: `Bearer ${ticket}` } });
    await ops.call('GET', '/metrics');
    await ops.call('GET', '/diagnostics/events');
    const told = [...nobody.transcript, ...ops.transcript, stream.parser.events.map(({ data }) => data).join()].join(
      '\n',
    );
    await stop();
    const logged = transcripts.join('\n');
    expect(logged).toContain('"message":"request"');
    const stored = filesBelow(dataDir).map((file) => readFileSync(file, 'latin1'));
    expect(stored.join('')).toContain('stream_tickets');
    for (const secret of [...issued, FORGED].map((each) => each.slice('cst_'.length))) {
      expect([told, logged, ...stored].filter((text) => text.includes(secret))).toEqual([]);
    }
  }, 30_000);
});

function filesBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}
