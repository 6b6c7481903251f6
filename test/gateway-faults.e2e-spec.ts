import { Code, ConnectError, createClient } from '@connectrpc/connect';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RunService } from '../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import { ApiClient, eventually } from './support/api-client.js';
import { EventStreamParser } from './support/event-stream-parser.js';
import { HostileSubsystem } from './support/flowwatch-subsystem-hostile.js';
import { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { RegistrationClient } from './support/registration-client.js';
import { type WireName, transportOf } from './support/rpc-room.js';
import { Service } from './support/service.js';

const FAILED_SUBSYSTEMS = 'crowsnest-failed-subsystems';
/** Less than a heartbeat is missed by nobody in a test that is slow. */
const HEARTBEAT = '10s';
const CALL_TIMEOUT_MS = 700;

interface Subsystem {
  readonly state: string;
  readonly instances: ReadonlyArray<{ readonly sessions: number }>;
}

let service: Service;
let api: ApiClient;
/** Both have the runs `run-0` and on. */
let left: FlowWatchSubsystem;
let right: FlowWatchSubsystem;
const disposals: Array<() => unknown> = [];

const find = (id: string) => api.call<Subsystem>('GET', `/gateway/subsystems/${id}`);
const untilState = (id: string, state: string): Promise<unknown> =>
  eventually(
    () => find(id),
    ({ body }) => body.state === state,
    20_000,
  );
const until = (holds: () => boolean): Promise<unknown> =>
  eventually(
    () => Promise.resolve(holds()),
    (isSo) => isSo,
    20_000,
  );
const runsOver = (wire: WireName) => createClient(RunService, transportOf(wire, '2', service.url));
const register = (subsystemId: string, flowwatchEndpoint: string): RegistrationClient => {
  const client = new RegistrationClient(transportOf('connect', '2', service.url));
  client.register({ subsystemId, flowwatchEndpoint });
  return client;
};
const startSubsystem = (id: string): Promise<FlowWatchSubsystem> =>
  new FlowWatchSubsystem({ id, runs: 5, runId: (index) => `run-${index}` }).start();

beforeAll(async () => {
  service = await Service.start({
    environment: { CROWSNEST_GATEWAY_HEARTBEAT: HEARTBEAT, CROWSNEST_GATEWAY_CALL_TIMEOUT: `${CALL_TIMEOUT_MS}ms` },
  });
  api = new ApiClient(service.url);
  [left, right] = await Promise.all([startSubsystem('left'), startSubsystem('right')]);
});
afterAll(async () => {
  await service.dispose();
  await Promise.all([left.stop(), right.stop()]);
});
afterEach(async () => {
  for (const dispose of disposals.splice(0).toReversed()) await dispose();
});

/** The states that followers of the subsystem are told, until it is left. */
async function followStates(id: string): Promise<{ states: () => string[]; leave: () => Promise<unknown> }> {
  const parser = new EventStreamParser();
  const abort = new AbortController();
  const read = async (): Promise<void> => {
    const { body } = await fetch(service.api(`/streams?key=subsystem:${id}`), { signal: abort.signal });
    for await (const chunk of body ?? []) parser.push(chunk as Uint8Array);
  };
  const over = read().catch((error: unknown) => abort.signal.aborted || Promise.reject(error as Error));
  await until(() => parser.events.length > 0);
  const states = (): string[] =>
    parser.events
      .filter(({ type }) => type === 'subsystem_update')
      .map(({ data }) => (JSON.parse(data) as { data: Subsystem }).data.state);
  return { states, leave: () => (abort.abort(), over) };
}

describe('a subsystem whose stream flaps', () => {
  const ROUNDS = 100;
  const RUN = { left: 'left~run-3', right: 'right~run-3' };

  /** Cancels the run of the left one again and again until told to stop, and counts what became of it. */
  async function cancelling(signal: AbortSignal): Promise<{ done: number; refused: Set<Code> }> {
    const refused = new Set<Code>();
    let done = 0;
    while (!signal.aborted) {
      try {
        await runsOver('connect').cancelRun({ runId: RUN.left });
        done += 1;
      } catch (error) {
        refused.add(ConnectError.from(error).code);
      }
    }
    return { done, refused };
  }

  beforeAll(async () => {
    // Kept alive by calls of the gateway, however long the tests take.
    await api.must('POST', '/gateway/subsystems', { body: { id: 'right', endpoint: right.endpoint } });
    await untilState('right', 'connected');
    await api.must('GET', '/gateway/runs/right~run-3');
  });

  it('is connected all the time if the new stream is there before the old one ends', async () => {
    let current = register('left', left.endpoint);
    await untilState('left', 'connected');
    const followed = await followStates('left');
    disposals.push(followed.leave);
    const stop = new AbortController();
    const before = [left, right].map(({ services }) => services.effects.length);
    const cancelled = cancelling(stop.signal);
    for (let round = 0; round < ROUNDS; round += 1) {
      const next = register('left', left.endpoint);
      await until(() => next.said[0] === 'registered true');
      // What outlives its successor says nothing of it.
      current.cut();
      await current.ended;
      current = next;
    }
    stop.abort();
    const { done, refused } = await cancelled;
    expect(done).toBeGreaterThan(0);
    expect([...refused]).toEqual([]);
    const after = [left, right].map(({ services }) => services.effects.length);
    expect(after).toEqual([(before[0] ?? 0) + done, before[1]]);
    await eventually(
      () => find('left'),
      ({ body }) => body.instances[0]?.sessions === 1,
      5_000,
    );
    expect((await find('left')).body.instances).toHaveLength(1);
    expect(new Set(followed.states())).toEqual(new Set(['connected']));
    current.cut();
    await untilState('left', 'stale');
  }, 60_000);

  it('has its commands refused while it is away: another that has a run of that id gets none', async () => {
    const stop = new AbortController();
    const before = [left, right].map(({ services }) => services.effects.length);
    const cancelled = cancelling(stop.signal);
    for (let round = 0; round < ROUNDS; round += 1) {
      const client = register('left', left.endpoint);
      await until(() => client.said[0] === 'registered true');
      if (round % 10 === 0) await untilState('left', 'connected');
      client.cut();
      await client.ended;
    }
    stop.abort();
    const { done, refused } = await cancelled;
    expect([...refused]).toEqual([Code.Unavailable]);
    expect(done).toBeGreaterThan(0);
    const after = [left, right].map(({ services }) => services.effects.length);
    expect(after).toEqual([(before[0] ?? 0) + done, before[1]]);
    await untilState('left', 'stale');
    const last = register('left', left.endpoint);
    disposals.push(() => last.cut());
    await untilState('left', 'connected');
    await runsOver('connect').cancelRun({ runId: RUN.left });
  }, 60_000);
});

describe('a subsystem that answers badly', () => {
  it.each([
    'endless',
    'declares-1gib',
    'wrong-protobuf',
    'html',
    'redirect-307',
    'bad-gateway',
    'compressed',
    'cut-within',
    'hang',
    'drip',
  ] as const)('(%s) is named, and the answers of others are whole', async (answer) => {
    const id = `bad-${answer}`;
    const good = await new FlowWatchSubsystem({ id, runs: 3 }).start();
    const stream = register(id, good.endpoint);
    disposals.push(() => stream.cut());
    await untilState(id, 'connected');
    const { port } = good;
    await good.stop();
    const hostile = await new HostileSubsystem(answer).start(port);
    disposals.push(() => hostile.stop());
    const drips = setInterval(() => hostile.drip(), 50);
    disposals.push(() => clearInterval(drips));

    let failed: string | null = null;
    const onHeader = (headers: Headers): void => void (failed = headers.get(FAILED_SUBSYSTEMS));
    const request = { filter: { subsystemIds: ['right', id] } };
    const { runs } = await runsOver('grpc').listRuns(request, { onHeader });
    expect(runs).toHaveLength(5);
    expect(failed).toMatch(new RegExp(`^${id};(failed|oversized|timeout|unreachable)$`));
    const { items, warnings } = await api.must<{ items: object[]; warnings: object[] }>(
      'GET',
      `/gateway/runs?subsystemId=right&subsystemId=${id}`,
    );
    expect([items.length, warnings]).toEqual([5, [{ subsystemId: id, reason: expect.any(String) }]]);
    expect(hostile.requests).toBeGreaterThan(0);
    await expect(runsOver('grpc').getRun({ runId: `${id}~run-0` })).rejects.toBeInstanceOf(ConnectError);
    expect((await runsOver('grpc').getRun({ runId: 'right~run-0' })).run?.workflowId).toBe('right-workflow');
  });
});

describe('a caller with a deadline', () => {
  const TIMEOUTS = [
    ['connect', { 'connect-timeout-ms': '2000' }],
    ['connect-json', { 'connect-timeout-ms': '2000' }],
    ['grpc', { 'grpc-timeout': '2000m' }],
    ['grpc-web', { 'grpc-timeout': '2000m' }],
  ] as const;
  let patient: Service;
  let stuck: FlowWatchSubsystem;

  beforeAll(async () => {
    // A subsystem may take as long as it does by default, far longer than the caller waits.
    patient = await Service.start({ environment: { CROWSNEST_GATEWAY_HEARTBEAT: HEARTBEAT } });
    stuck = await startSubsystem('stuck');
    const patientApi = new ApiClient(patient.url);
    for (const [id, { endpoint }] of Object.entries({ left, right, stuck })) {
      await patientApi.must('POST', '/gateway/subsystems', { body: { id, endpoint } });
      await eventually(
        () => patientApi.call<Subsystem>('GET', `/gateway/subsystems/${id}`),
        ({ body }) => body.state === 'connected',
        20_000,
      );
    }
  });
  afterAll(async () => {
    await patient.dispose();
    await stuck.stop();
  });

  it.each(TIMEOUTS)('gets the runs of those that answer, and who is too slow, over %s', async (wire, headers) => {
    const release = stuck.hold('ListRuns');
    let failed: string | null = null;
    const onHeader = (answered: Headers): void => void (failed = answered.get(FAILED_SUBSYSTEMS));
    const before = stuck.received.length;
    const client = createClient(RunService, transportOf(wire, '2', patient.url));
    // The gateway keeps the deadline; a client of its own would tell `deadline_exceeded` by itself.
    const { runs } = await client.listRuns({}, { headers, onHeader });
    expect([runs.length, failed]).toEqual([10, 'stuck;timeout']);
    const leftMs = Number(stuck.received.at(before)?.headers['connect-timeout-ms']);
    expect(leftMs).toBeGreaterThan(0);
    expect(leftMs).toBeLessThanOrEqual(1_800);
    release();
    const whole = await client.listRuns({}, { onHeader });
    expect([whole.runs.length, failed]).toEqual([15, null]);
  });
});

describe('a command of which the answer is lost', () => {
  it.each(['connect', 'connect-json', 'grpc', 'grpc-web'] as const)(
    'has an unknown outcome over %s, and one effect when it is asked for again with its key',
    async (wire) => {
      const runId = 'right~run-2';
      const options = { headers: { 'idempotency-key': `lost-${wire}` } };
      const before = right.services.effects.length;
      right.loseAnswer('RetryRun');
      const lost = runsOver(wire).retryRun({ runId }, options);
      await expect(lost).rejects.toMatchObject({
        code: Code.Unknown,
        message: expect.stringMatching(/may have taken effect/),
      });
      const { newRunId } = await runsOver(wire).retryRun({ runId }, options);
      const effects = right.services.effects.slice(before);
      expect(effects).toEqual([{ method: 'RetryRun', runId: 'run-2', idempotencyKey: `lost-${wire}` }]);
      expect((await runsOver(wire).getRun({ runId: newRunId })).run?.workflowId).toBe('right-workflow');
    },
  );
});
