import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { connectToGateway } from '../src/gateway/client/connect-to-gateway.js';
import { RunService } from '../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import { RunEventType, type RunEvent, StreamService } from '../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { RunStatus } from '../src/gateway/gen/flowwatch/v1/types_pb.js';
import { WorkflowService } from '../src/gateway/gen/flowwatch/v1/workflow_service_pb.js';
import { SystemClock } from '../src/runtime/clock.js';
import { CryptoRandom } from '../src/runtime/random.js';
import type { Runnable } from '../src/runtime/runnable.js';
import { ApiClient, eventually } from './support/api-client.js';
import { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { transportOf } from './support/rpc-room.js';
import { Service } from './support/service.js';

const NEVER = new AbortController().signal;
const ENVIRONMENT = { CROWSNEST_GATEWAY_HEARTBEAT: '300ms', CROWSNEST_GATEWAY_GRACE: '60s' };
const WIRES = [
  ['connect', '2'],
  ['connect-json', '1.1'],
  ['grpc', '2'],
  ['grpc-web', '1.1'],
] as const;
const FAILED = 'crowsnest-failed-subsystems';

/** Has a subsystem. */
let inner: Service;
/** Has the inner gateway, and knows no subsystem but it. */
let outer: Service;
let billing: FlowWatchSubsystem;
let shipping: FlowWatchSubsystem;
const registrations: Runnable[] = [];

const connected = (gateway: Service, id: string): Promise<unknown> =>
  eventually(
    () => new ApiClient(gateway.url).call<{ state: string }>('GET', `/gateway/subsystems/${id}`),
    ({ body }) => body.state === 'connected',
    20_000,
  );
const registerAt = async (gateway: Service, id: string, localEndpoint: string): Promise<void> => {
  const clock = new SystemClock();
  const random = new CryptoRandom();
  const runnable = connectToGateway({ id, localEndpoint, gatewayAddress: gateway.url, clock, random });
  await runnable.start(NEVER);
  registrations.push(runnable);
};
const until = (holds: () => boolean): Promise<unknown> =>
  eventually(
    () => Promise.resolve(holds()),
    (isSo) => isSo,
    15_000,
  );
const runsAt = ({ url }: Service) => createClient(RunService, transportOf('connect', '2', url));

beforeAll(async () => {
  [inner, outer] = await Promise.all([
    Service.start({ environment: ENVIRONMENT }),
    Service.start({ environment: ENVIRONMENT }),
  ]);
  billing = await new FlowWatchSubsystem({ id: 'billing', runs: 6 }).start();
  await registerAt(inner, 'billing', billing.endpoint);
  await connected(inner, 'billing');
  await registerAt(outer, 'inner', inner.url);
  await connected(outer, 'inner');
}, 60_000);
afterAll(async () => {
  for (const runnable of registrations) await runnable.stop(NEVER);
  await inner.dispose();
  await outer.dispose();
  await billing.stop();
  await shipping?.stop();
});

interface Page {
  readonly items: readonly object[];
  readonly totalCount: number | null;
  readonly nextCursor: string | null;
  readonly warnings: readonly object[];
}

/** What a caller of ListRuns gets: the ids, and whose part is missing. */
async function list(gateway: Service): Promise<{ ids: string[]; failed: string | null }> {
  let failed: string | null = null;
  const onHeader = (headers: Headers): void => void (failed = headers.get(FAILED));
  const { runs } = await runsAt(gateway).listRuns({}, { onHeader });
  return { ids: runs.map(({ id }) => id), failed };
}

/** Calls that have come to the gateway and have ended, by code. */
async function callsAt({ url }: Service): Promise<Record<string, number>> {
  const text = await new ApiClient(url).must<string>('GET', '/metrics');
  const counts: Record<string, number> = {};
  for (const [, code = '', count] of text.matchAll(/^crowsnest_gateway_rpcs_total\{.*code="([a-z_]+)"\} (\d+)$/gm)) {
    counts[code] = (counts[code] ?? 0) + Number(count);
  }
  return counts;
}

describe('a gateway that is a subsystem of another', () => {
  it.each(WIRES)('is asked for its runs, over %s on HTTP/%s', async (wire, httpVersion) => {
    const client = createClient(RunService, transportOf(wire, httpVersion, outer.url));
    const { runs, pagination } = await client.listRuns({ pagination: { limit: 4 } });
    const rest = await client.listRuns({ pagination: { limit: 4, cursor: pagination?.nextCursor ?? '' } });
    const newestFirst = billing.data.runs.map(({ id }) => id).toReversed();
    expect([...runs, ...rest.runs].map(({ id }) => id)).toEqual(newestFirst);
    expect([pagination?.totalCount, rest.pagination?.nextCursor]).toEqual([6, '']);
    const { run } = await client.getRun({ runId: 'billing-run-00002' });
    expect(run).toMatchObject({ id: 'billing-run-00002', error: { message: 'out of paper' } });
    const missing = client.getRun({ runId: 'nobody-has-this' });
    await expect(missing).rejects.toMatchObject({ code: Code.NotFound });
  });

  it.each(WIRES)('passes a command on, once, with its key, over %s on HTTP/%s', async (wire, httpVersion) => {
    const client = createClient(RunService, transportOf(wire, httpVersion, outer.url));
    const runId = 'billing-run-00003';
    const key = `cancel-${wire}`;
    const before = billing.services.effects.length;
    await client.cancelRun({ runId }, { headers: { 'idempotency-key': key } });
    expect(billing.services.effects.slice(before)).toEqual([{ method: 'CancelRun', runId, idempotencyKey: key }]);
    const path = billing.received.findLast(({ method }) => method === 'CancelRun')?.headers['crowsnest-gateway-path'];
    expect(String(path).split(', ')).toHaveLength(2);
  });

  it('is called with the way that a call has come, and with the time that is left of it', async () => {
    const timeoutMs = 9_000;
    const heldMs = 300;
    const before = billing.received.length;
    const release = billing.hold('GetRun');
    const pause = runsAt(outer).pauseRun({ runId: 'billing-run-00001' }, { headers: { 'connect-timeout-ms': '9000' } });
    await until(() => billing.received.length > before);
    const heldSince = performance.now();
    await until(() => performance.now() - heldSince > heldMs);
    release();
    await pause;
    const calls = billing.received.slice(before).map(({ method, headers }) => ({
      method,
      leftMs: Number(headers['connect-timeout-ms']),
      path: String(headers['crowsnest-gateway-path']).split(', '),
      from: /^crowsnest\/\S+ \((.+)\)$/.exec(String(headers['user-agent']))?.[1],
    }));
    // Each gateway has looked for it: for whoever asks, and not for this call alone.
    expect(calls.map(({ method }) => method)).toEqual(['GetRun', 'GetRun', 'PauseRun']);
    for (const { path, from } of calls) {
      expect(new Set(path).size).toBe(2);
      expect(path[1]).toBe(from);
    }
    // Either gateway keeps 250 ms for an answer that names whoever was too slow.
    expect(calls[2]?.leftMs).toBeGreaterThan(0);
    expect(calls[2]?.leftMs).toBeLessThanOrEqual(timeoutMs - 2 * 250 - heldMs);
  });

  it('is watched through', async () => {
    const abort = new AbortController();
    const events: RunEvent[] = [];
    const watch = async (): Promise<void> => {
      const client = createClient(StreamService, transportOf('grpc', '2', outer.url));
      const { signal } = abort;
      for await (const event of client.watchRuns({ includeInitialSnapshot: true }, { signal })) events.push(event);
    };
    const over = watch().catch((error: unknown) => ConnectError.from(error).code);
    await until(() => events.length === 6);
    for (const status of [RunStatus.PAUSED, RunStatus.RUNNING]) {
      const run = billing.data.run('billing-run-00001');
      if (!run) throw new Error('the subsystem has no such run');
      billing.services.emitRun({ eventType: RunEventType.UPDATED, run: { ...run, status } });
    }
    await until(() => events.length >= 8);
    abort.abort();
    expect(await over).toBe(Code.Canceled);
    expect(events.slice(6).map(({ run }) => [run?.id, run?.status])).toEqual([
      ['billing-run-00001', RunStatus.PAUSED],
      ['billing-run-00001', RunStatus.RUNNING],
    ]);
  });
});

describe('gateways that are registered with each other', () => {
  beforeAll(async () => {
    shipping = await new FlowWatchSubsystem({ id: 'shipping', runs: 2 }).start();
    await registerAt(outer, 'shipping', shipping.endpoint);
    await connected(outer, 'shipping');
    await registerAt(inner, 'outer', outer.url);
    await connected(inner, 'outer');
  });

  it('answer with the runs of both, each once, and ask no subsystem twice', async () => {
    for (const gateway of [outer, inner]) {
      const before = [billing.count('ListRuns'), shipping.count('ListRuns')];
      const { ids, failed } = await list(gateway);
      expect(failed).toBeNull();
      expect(ids.toSorted()).toEqual([...billing.data.runs, ...shipping.data.runs].map(({ id }) => id).toSorted());
      expect([billing.count('ListRuns'), shipping.count('ListRuns')]).toEqual(before.map((count) => count + 1));
    }
  });

  it('miss nothing of each other: what one asks for, the other need not', async () => {
    for (const gateway of [outer, inner]) {
      const api = new ApiClient(gateway.url);
      const { items, totalCount, nextCursor, warnings } = await api.must<Page>('GET', '/gateway/runs');
      expect([items.length, totalCount, nextCursor, warnings]).toEqual([8, 8, null, []]);
      const first = await api.must<Page>('GET', '/gateway/runs?limit=5');
      const rest = await api.must<Page>('GET', `/gateway/runs?limit=5&cursor=${first.nextCursor}`);
      expect([...first.items, ...rest.items]).toEqual(items);
      const { warnings: ofWorkflows } = await api.must<{ warnings: object[] }>('GET', '/gateway/workflows');
      expect(ofWorkflows).toEqual([]);
      const { warnings: ofFigures } = await api.must<{ warnings: object[] }>('GET', '/gateway/analytics/throughput');
      expect(ofFigures).toEqual([]);
    }
  });

  it.each(WIRES)('know that nobody has a run, a workflow or a trace, over %s on HTTP/%s', async (wire, httpVersion) => {
    for (const { url } of [outer, inner]) {
      const transport = transportOf(wire, httpVersion, url);
      const [runs, workflows] = [createClient(RunService, transport), createClient(WorkflowService, transport)];
      const missing = { code: Code.NotFound };
      await expect(runs.getRun({ runId: `nobody-has-${wire}` })).rejects.toMatchObject(missing);
      await expect(runs.cancelRun({ runId: `nobody-has-${wire}` })).rejects.toMatchObject(missing);
      await expect(workflows.getWorkflow({ workflowId: 'nobody-has-this' })).rejects.toMatchObject(missing);
      await expect(workflows.getTrace({ traceId: 'nobody-has-this' })).rejects.toMatchObject(missing);
    }
  });

  it('find the runs of each other, also when one believes that the other has them', async () => {
    // They have listed all runs by now, each those of the other among them.
    for (const runId of ['billing-run-00004', 'shipping-run-00001']) {
      for (const gateway of [outer, inner]) {
        expect((await runsAt(gateway).getRun({ runId })).run?.id).toBe(runId);
        await runsAt(gateway).cancelRun({ runId });
      }
    }
    const lost = shipping.data.runs.shift();
    await expect(runsAt(inner).getRun({ runId: 'shipping-run-00000' })).rejects.toMatchObject({ code: Code.NotFound });
    if (lost) shipping.data.runs.unshift(lost);
    // The outer one alone knows this name, and knows it as the gateway that asks.
    const own = runsAt(inner).getRun({ runId: 'inner~billing-run-00005' });
    await expect(own).rejects.toMatchObject({ code: Code.NotFound });
    expect((await runsAt(outer).getRun({ runId: 'inner~billing-run-00005' })).run?.id).toBe('inner~billing-run-00005');
  });

  it('end a call where it has been before, so that none makes more than a few', async () => {
    const before = [await callsAt(outer), await callsAt(inner)];
    const rounds = 10;
    for (let round = 0; round < rounds; round += 1) {
      await list(outer);
      await runsAt(inner)
        .getRun({ runId: 'nobody-has-this' })
        .catch((error: unknown) => expect(ConnectError.from(error).code).toBe(Code.NotFound));
      // Looks for it in what the others tell of themselves, again and again.
      await createClient(WorkflowService, transportOf('connect', '2', outer.url))
        .getWorkflow({ workflowId: 'nobody-has-this' })
        .catch((error: unknown) => expect(ConnectError.from(error).code).toBe(Code.NotFound));
    }
    const after = [await callsAt(outer), await callsAt(inner)];
    const more = after.map((counts, gateway) => sumOf(counts) - sumOf(before[gateway] ?? {}));
    const refused = after.map(
      (counts, gateway) => (counts['failed_precondition'] ?? 0) - (before[gateway]?.['failed_precondition'] ?? 0),
    );
    for (const count of more) {
      expect(count).toBeGreaterThanOrEqual(rounds);
      expect(count).toBeLessThanOrEqual(rounds * 3 * 5);
    }
    expect(Math.min(...refused)).toBeGreaterThanOrEqual(rounds);
  });
});

describe('a gateway behind a gateway that is killed', () => {
  it('is named by the other, which answers with what is left, and is whole again after a restart', async () => {
    const { url, dataDir } = inner;
    await inner.end('SIGKILL');
    expect(await list(outer)).toEqual({
      ids: ['shipping-run-00001', 'shipping-run-00000'],
      failed: expect.stringMatching(/^inner;(unreachable|stale|connecting)$/),
    });
    const page = await new ApiClient(outer.url).must<{ warnings: object[] }>('GET', '/gateway/runs');
    expect(page.warnings).toEqual([expect.objectContaining({ subsystemId: 'inner' })]);
    const lost = runsAt(outer).getRun({ runId: 'billing-run-00003' });
    await expect(lost).rejects.toMatchObject({ code: Code.Unavailable, message: expect.stringMatching(/inner/) });
    const refused = runsAt(outer).cancelRun({ runId: 'billing-run-00003' });
    await expect(refused).rejects.toMatchObject({ code: Code.Unavailable });

    inner = await Service.start({ environment: { ...ENVIRONMENT, PORT: new URL(url).port }, dataDir });
    await connected(inner, 'billing');
    const { ids } = await eventually(
      () => list(outer),
      (told) => told.ids.length === 8,
      20_000,
    );
    expect(new Set(ids).size).toBe(8);
  });
});

const sumOf = (counts: Readonly<Record<string, number>>): number =>
  Object.values(counts).reduce((sum, count) => sum + count, 0);
