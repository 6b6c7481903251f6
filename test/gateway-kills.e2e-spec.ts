import { type CallOptions, ConnectError, createClient } from '@connectrpc/connect';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { RunService } from '../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import { RunEventType, type RunEvent, StreamService } from '../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { RunStatus } from '../src/gateway/gen/flowwatch/v1/types_pb.js';
import { ApiClient, eventually } from './support/api-client.js';
import { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { EventStreamParser } from './support/event-stream-parser.js';
import { type WireName, transportOf } from './support/rpc-room.js';
import { Service } from './support/service.js';
import { SubsystemProcess } from './support/subsystem-process.js';

const { PAUSED, RUNNING, FAILED } = RunStatus;
const FAILED_SUBSYSTEMS = 'crowsnest-failed-subsystems';
const RUNS = 4;

const disposals: Array<() => Promise<unknown>> = [];
afterEach(async () => {
  for (const dispose of disposals.splice(0).toReversed()) await dispose();
});

const untilState = (gateway: Service, id: string, state: string): Promise<unknown> =>
  eventually(
    () => new ApiClient(gateway.url).call<{ state: string }>('GET', `/gateway/subsystems/${id}`),
    ({ status, body }) => (state === 'removed' ? status === 404 : body.state === state),
    20_000,
  );
const until = (holds: () => boolean): Promise<unknown> =>
  eventually(
    () => Promise.resolve(holds()),
    (isSo) => isSo,
    20_000,
  );

/** Reads in the background what a client of FlowWatch is told. */
function watchRuns({ url }: Service, wire: WireName, ...subsystemIds: string[]) {
  const abort = new AbortController();
  const watched = { events: [] as RunEvent[], headers: new Headers() };
  const options: CallOptions = {
    signal: abort.signal,
    onHeader: (headers) => void (watched.headers = headers),
  };
  const request = { includeInitialSnapshot: true, subsystemIds };
  const read = async (): Promise<ConnectError | undefined> => {
    try {
      const client = createClient(StreamService, transportOf(wire, '2', url));
      for await (const event of client.watchRuns(request, options)) watched.events.push(event);
      return undefined;
    } catch (error) {
      return ConnectError.from(error);
    }
  };
  const over = read();
  const leave = (): Promise<unknown> => (abort.abort(), over);
  disposals.push(leave);
  return { watched, over, leave };
}
const told = (events: readonly RunEvent[]): Array<[string | undefined, RunStatus | undefined]> =>
  events.map(({ run }) => [run?.id, run?.status]);

describe('a subsystem whose process is killed while its runs are watched', () => {
  let service: Service;
  let shipping: FlowWatchSubsystem;

  beforeAll(async () => {
    service = await Service.start({
      environment: { CROWSNEST_GATEWAY_HEARTBEAT: '300ms', CROWSNEST_GATEWAY_GRACE: '60s' },
    });
    shipping = await new FlowWatchSubsystem({ id: 'shipping', runs: RUNS }).start();
    const body = { id: 'shipping', endpoint: shipping.endpoint };
    await new ApiClient(service.url).must('POST', '/gateway/subsystems', { body });
    await untilState(service, 'shipping', 'connected');
  });
  afterAll(async () => {
    await service.dispose();
    await shipping.stop();
  });

  const ship = (index: number, status: RunStatus): void => {
    const run = shipping.data.runs[index];
    if (!run) throw new Error(`there is no run ${index}`);
    shipping.services.emitRun({ eventType: RunEventType.UPDATED, run: { ...run, status } });
  };

  it.each(['grpc', 'connect'] as const)('costs watchers over %s nothing, and is named meanwhile', async (wire) => {
    const id = `billing-${wire}`;
    const options = { id, runs: RUNS, gatewayAddress: service.url };
    const first = await SubsystemProcess.start(options);
    disposals.push(() => first.kill());
    await untilState(service, id, 'connected');
    const { watched, over } = watchRuns(service, wire, id, 'shipping');
    await until(() => new Set(told(watched.events).map(([run]) => run)).size === 2 * RUNS);
    expect(watched.events).toHaveLength(2 * RUNS);
    expect(watched.headers.get(FAILED_SUBSYSTEMS)).toBeNull();
    first.change({ runId: `${id}-run-00000`, status: PAUSED });
    await until(() => watched.events.length === 2 * RUNS + 1);

    await first.kill();
    await untilState(service, id, 'stale');
    ship(0, PAUSED);
    await until(() => watched.events.length === 2 * RUNS + 2);
    const late = watchRuns(service, wire, id, 'shipping');
    await until(() => late.watched.events.length === 2 * RUNS);
    expect(late.watched.headers.get(FAILED_SUBSYSTEMS)).toBe(`${id};stale`);

    // It comes back with what it has kept, and one run has gone on.
    const changed = { [`${id}-run-00000`]: PAUSED, [`${id}-run-00001`]: FAILED };
    const second = await SubsystemProcess.start({ ...options, port: first.port, changed });
    disposals.push(() => second.kill());
    await until(() => watched.events.length >= 2 * RUNS + 3);
    second.change({ runId: `${id}-run-00002`, status: RUNNING });
    ship(0, RUNNING);
    await until(() => watched.events.length >= 2 * RUNS + 5);
    expect(told(watched.events.slice(2 * RUNS, 2 * RUNS + 3))).toEqual([
      [`${id}-run-00000`, PAUSED],
      ['shipping-run-00000', PAUSED],
      [`${id}-run-00001`, FAILED],
    ]);
    const last = told(watched.events.slice(2 * RUNS + 3));
    expect(last).toHaveLength(2);
    expect(last).toEqual(
      expect.arrayContaining([
        [`${id}-run-00002`, RUNNING],
        ['shipping-run-00000', RUNNING],
      ]),
    );
    await until(() => late.watched.events.length >= 2 * RUNS + 3);
    expect(told(late.watched.events.slice(2 * RUNS))).toEqual(told(watched.events.slice(2 * RUNS + 2)));
    expect(await Promise.race([over, Promise.resolve('open')])).toBe('open');
  });

  it('is named to followers of server-sent events, and shown again when it is back', async () => {
    const options = { id: 'ledger', runs: RUNS, gatewayAddress: service.url };
    const first = await SubsystemProcess.start(options);
    disposals.push(() => first.kill());
    await untilState(service, 'ledger', 'connected');
    const parser = new EventStreamParser();
    const abort = new AbortController();
    const read = async (): Promise<void> => {
      const { body } = await fetch(service.api('/gateway/streams/runs?subsystemId=ledger'), { signal: abort.signal });
      for await (const chunk of body ?? []) parser.push(chunk as Uint8Array);
    };
    const over = read().catch((error: unknown) => abort.signal.aborted || Promise.reject(error as Error));
    disposals.push(() => (abort.abort(), over));
    const parts = (): unknown[] =>
      parser.events
        .filter(({ type }) => type === 'gateway_subsystem_update')
        .map(({ data }) => (JSON.parse(data) as { data: unknown }).data);
    await until(() => parser.events.length > 0);
    await first.kill();
    await until(() => parts().length === 1);
    const second = await SubsystemProcess.start({ ...options, port: first.port });
    disposals.push(() => second.kill());
    await until(() => parts().length >= 2);
    expect(parts()).toEqual([
      { subsystemId: 'ledger', state: 'missing', reason: expect.stringMatching(/^(stale|unreachable|connecting)$/) },
      { subsystemId: 'ledger', state: 'live', reason: null },
    ]);
  });

  it('whose connections stay open is stale after two missed pings, and back as soon as it goes on', async () => {
    const frozen = await SubsystemProcess.start({ id: 'frozen', runs: RUNS, gatewayAddress: service.url });
    disposals.push(() => frozen.kill());
    await untilState(service, 'frozen', 'connected');
    frozen.freeze();
    await untilState(service, 'frozen', 'stale');
    let failed: string | null = null;
    const onHeader = (headers: Headers): void => void (failed = headers.get(FAILED_SUBSYSTEMS));
    const request = { filter: { subsystemIds: ['shipping', 'frozen'] } };
    const { runs } = await createClient(RunService, transportOf('connect', '2', service.url)).listRuns(request, {
      onHeader,
    });
    expect([runs.length, failed]).toEqual([RUNS, 'frozen;stale']);
    frozen.thaw();
    await untilState(service, 'frozen', 'connected');
    // It may have taken its own standstill for one of the gateway, and have come anew.
    expect(frozen.registration.at(-1)).toBe('registered');
  });
});

describe('a subsystem that is frozen for longer than the grace period', () => {
  let service: Service;

  beforeAll(async () => {
    service = await Service.start({
      environment: { CROWSNEST_GATEWAY_HEARTBEAT: '300ms', CROWSNEST_GATEWAY_GRACE: '900ms' },
    });
  });
  afterAll(() => service.dispose());

  it('is removed, and registers again when it goes on', async () => {
    const frozen = await SubsystemProcess.start({ id: 'frozen', runs: RUNS, gatewayAddress: service.url });
    disposals.push(() => frozen.kill());
    await untilState(service, 'frozen', 'connected');
    const { watched } = watchRuns(service, 'grpc');
    await until(() => watched.events.length === RUNS);
    frozen.freeze();
    await untilState(service, 'frozen', 'removed');
    frozen.thaw();
    await untilState(service, 'frozen', 'connected');
    expect(frozen.registration).toEqual(['registered', expect.stringMatching(/^(left|lost)$/), 'registered']);
    frozen.change({ runId: 'frozen-run-00001', status: PAUSED });
    await until(() => told(watched.events).some(([id, status]) => id === 'frozen-run-00001' && status === PAUSED));
  });
});
