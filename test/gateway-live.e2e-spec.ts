import { connect } from 'node:http2';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type RunEvent, RunEventType, StreamService } from '../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { RunSchema, RunStatus } from '../src/gateway/gen/flowwatch/v1/types_pb.js';
import { ApiClient, eventually } from './support/api-client.js';
import { EventStreamParser } from './support/event-stream-parser.js';
import { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { type WireName, transportOf } from './support/rpc-room.js';
import { Service } from './support/service.js';

const { UPDATED } = RunEventType;
const { PAUSED, FAILED, RUNNING, SUCCEEDED } = RunStatus;

let service: Service;
let api: ApiClient;
let billing: FlowWatchSubsystem;
let old: FlowWatchSubsystem;

beforeAll(async () => {
  service = await Service.start({
    environment: {
      CROWSNEST_GATEWAY_HEARTBEAT: '300ms',
      CROWSNEST_GATEWAY_GRACE: '60s',
      CROWSNEST_GATEWAY_POLL: '100ms',
    },
  });
  api = new ApiClient(service.url);
  billing = await new FlowWatchSubsystem({ id: 'billing', runs: 5 }).start();
  old = await new FlowWatchSubsystem({ id: 'old', runs: 3, old: true, protocols: 'http1' }).start();
  for (const { data, endpoint } of [billing, old]) {
    await api.must('POST', '/gateway/subsystems', { body: { id: data.options.id, endpoint } });
  }
  await untilConnected(2);
});
afterAll(async () => {
  await service.dispose();
  await billing.stop();
  await old.stop();
});

const untilConnected = (count: number): Promise<unknown> =>
  eventually(
    () => api.must<{ items: Array<{ state: string }> }>('GET', '/gateway/subsystems'),
    ({ items }) => items.filter(({ state }) => state === 'connected').length === count,
    20_000,
  );
const until = (holds: () => boolean): Promise<unknown> =>
  eventually(
    () => Promise.resolve(holds()),
    (isSo) => isSo,
    15_000,
  );

/** Reads in the background what a client of FlowWatch is told. */
function watchRuns(wire: WireName, httpVersion: '1.1' | '2', request: { includeInitialSnapshot?: boolean } = {}) {
  const client = createClient(StreamService, transportOf(wire, httpVersion, service.url));
  const abort = new AbortController();
  const events: RunEvent[] = [];
  const told = { headers: new Headers(), error: undefined as ConnectError | undefined };
  const read = async (): Promise<void> => {
    try {
      const onHeader = (headers: Headers): void => void (told.headers = headers);
      for await (const event of client.watchRuns(request, { signal: abort.signal, onHeader })) events.push(event);
    } catch (error) {
      told.error = ConnectError.from(error);
    }
  };
  const done = read();
  return { events, told, done, leave: () => (abort.abort(), done) };
}

const statesOf = (events: readonly RunEvent[], id: string): RunStatus[] =>
  events.flatMap(({ run }) => (run?.id === id ? run.status : []));
const change = (id: string, status: RunStatus): void => {
  const run = billing.data.run(id);
  if (run) billing.services.emitRun({ eventType: UPDATED, run: { ...run, status } });
  else billing.services.emitRun({ eventType: UPDATED, run: create(RunSchema, { id, status }) });
};

describe('watching runs through the gateway', () => {
  it.each([
    ['connect', '1.1'],
    ['connect-json', '1.1'],
    ['connect', '2'],
    ['grpc', '2'],
    ['grpc-web', '1.1'],
  ] as const)('tells what all subsystems have and do, over %s on HTTP/%s', async (wire, httpVersion) => {
    const watching = watchRuns(wire, httpVersion, { includeInitialSnapshot: true });
    await until(() => new Set(watching.events.map(({ run }) => run?.id)).size === 8);
    expect(watching.told.headers.get('crowsnest-polled-subsystems')).toBe('old');
    change('billing-run-00003', PAUSED);
    await until(() => statesOf(watching.events, 'billing-run-00003').includes(PAUSED));
    change('billing-run-00003', RUNNING);
    await until(() => statesOf(watching.events, 'billing-run-00003').at(-1) === RUNNING);
    await watching.leave();
    await until(() => billing.services.watchers === 0);
  });

  it('goes on after a subsystem was killed, with what happened meanwhile, and nothing twice', async () => {
    const watching = watchRuns('connect', '2', { includeInitialSnapshot: true });
    await until(() => watching.events.length >= 8);
    const before = watching.events.length;
    billing.cut();
    const run = billing.data.run('billing-run-00003');
    if (run) run.status = FAILED;
    await until(() => statesOf(watching.events, 'billing-run-00003').at(-1) === FAILED);
    change('billing-run-00003', RUNNING);
    await until(() => statesOf(watching.events, 'billing-run-00003').at(-1) === RUNNING);
    expect(watching.events.slice(before).map(({ run: each }) => each?.id)).toEqual(Array(2).fill('billing-run-00003'));
    await watching.leave();
  });

  it('ends a client that does not read, says why, and delays nobody else', async () => {
    const quick = watchRuns('connect', '2');
    const session = connect(service.url);
    const slow = session.request({
      ':method': 'POST',
      ':path': '/flowwatch.v1.StreamService/WatchRuns',
      'content-type': 'application/connect+json',
      'connect-protocol-version': '1',
    });
    slow.pause().end(Buffer.concat([Buffer.from([0, 0, 0, 0, 2]), Buffer.from('{}')]));
    await until(() => {
      change('warm-up', RUNNING);
      return quick.events.length > 0;
    });
    const count = 3_000;
    const metadata = { padding: 'x'.repeat(4_000) };
    for (let run = 0; run < count; run += 1) {
      billing.services.emitRun({ run: create(RunSchema, { id: `flood-${run}`, status: RUNNING, metadata }) });
      if (run % 50 === 0) await new Promise(setImmediate);
      await until(() => quick.events.length >= run - 400);
    }
    await until(() => quick.events.filter(({ run }) => run?.id.startsWith('flood-')).length === count);
    let text = '';
    slow
      .setEncoding('utf8')
      .on('data', (chunk: string) => (text += chunk))
      .resume();
    await new Promise((resolve) => slow.once('close', resolve));
    expect(text).toMatch(/"code":"resource_exhausted".*watch again/);
    session.close();
    await quick.leave();
  });

  it('does as server-sent events, from where the client left', async () => {
    const first = openEvents('/gateway/streams/runs?subsystemId=billing');
    await until(() => first.parser.events.some(({ type }) => type === 'snapshot'));
    const snapshot = JSON.parse(first.parser.events[0]?.data ?? '') as { data: { items: Array<{ data: object }> } };
    expect(snapshot.data.items.map(({ data }) => data)).toEqual(
      expect.arrayContaining([
        { subsystemId: 'billing', state: 'live', reason: null },
        expect.objectContaining({ id: 'billing-run-00000', subsystemId: 'billing', status: 'succeeded' }),
      ]),
    );
    change('billing-run-00001', PAUSED);
    await until(() => first.parser.events.some(({ type }) => type === 'gateway_run_update'));
    const lastEventId = first.parser.events.at(-1)?.lastEventId ?? '';
    await first.leave();
    change('billing-run-00001', SUCCEEDED);
    change('billing-run-00002', PAUSED);
    await until(() => billing.services.watchers > 0);
    const second = openEvents(`/gateway/streams/runs?subsystemId=billing&lastEventId=${lastEventId}`);
    await until(() => second.parser.events.length === 2);
    const missed = second.parser.events.map(({ type, data }) => [type, (JSON.parse(data) as { data: object }).data]);
    expect(missed).toMatchObject([
      ['gateway_run_update', { id: 'billing-run-00001', status: 'succeeded' }],
      ['gateway_run_update', { id: 'billing-run-00002', status: 'paused' }],
    ]);
    await second.leave();
  });

  it('refuses a filter that is none, as a problem', async () => {
    const { status, body } = await api.call('GET', '/gateway/streams/runs?status=none&subsystem=x');
    expect(status).toBe(422);
    expect(JSON.stringify(body)).toMatch(/status.*subsystem|subsystem.*status/);
    expect((await api.call('GET', '/streams?key=gateway-runs:workflowId=b%26workflowId=a')).status).toBe(422);
  });

  it('serves the streams of runs with a ticket', async () => {
    const key = 'gateway-runs:subsystemId=billing';
    const { path } = await api.must<{ path: string }>('POST', '/streams/tickets', { body: { keys: [key] } });
    const opened = openEvents(path.replace('/api/v1', ''));
    await until(() => opened.parser.events.length > 0);
    expect(JSON.parse(opened.parser.events[0]?.data ?? '')).toMatchObject({ type: 'gateway-runs', streamKey: key });
    await opened.leave();
  });

  it('says that the service is going', async () => {
    const watching = watchRuns('grpc', '2', { includeInitialSnapshot: true });
    const stats = createClient(StreamService, transportOf('connect', '2', service.url)).watchStats({});
    await until(() => watching.events.length >= 8);
    const figures = stats[Symbol.asyncIterator]();
    expect((await figures.next()).value?.running).toBeGreaterThan(0);
    const next = figures.next();
    const outcome = next.then(
      () => undefined,
      (error: unknown) => ConnectError.from(error).code,
    );
    expect(await service.end()).toBe(0);
    await watching.done;
    expect(watching.told.error).toMatchObject({
      code: Code.Unavailable,
      message: expect.stringMatching(/shutting down/),
    });
    expect(await outcome).toBe(Code.Unavailable);
  });
});

function openEvents(path: string): { parser: EventStreamParser; leave: () => Promise<void> } {
  const parser = new EventStreamParser();
  const abort = new AbortController();
  const read = async (): Promise<void> => {
    try {
      const { body } = await fetch(service.api(path), { signal: abort.signal });
      for await (const chunk of body ?? []) parser.push(chunk as Uint8Array);
    } catch (error) {
      if (!abort.signal.aborted) throw error;
    }
  };
  const done = read();
  return { parser, leave: () => (abort.abort(), done) };
}
