import { isDeepStrictEqual } from 'node:util';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type DescMethodServerStreaming, type DescMethodUnary, type JsonObject, toJson } from '@bufbuild/protobuf';
import type { Transport } from '@connectrpc/connect';
import { AnalyticsService } from '../src/gateway/gen/flowwatch/v1/analytics_service_pb.js';
import { RunService } from '../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import { SearchService } from '../src/gateway/gen/flowwatch/v1/search_service_pb.js';
import { RunDetailEventType, RunEventType, StreamService } from '../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { RunSchema, RunStatus, WorkflowDefinitionSchema } from '../src/gateway/gen/flowwatch/v1/types_pb.js';
import { WorkflowService } from '../src/gateway/gen/flowwatch/v1/workflow_service_pb.js';
import { ask, watch } from './support/any-rpc.js';
import { eventually } from './support/api-client.js';
import type { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { WIRES, transportOf } from './support/rpc-room.js';
import { UnevenFleet } from './support/uneven-fleet.js';

const SERVICES = [RunService, WorkflowService, AnalyticsService, SearchService, StreamService];
const METHODS = SERVICES.flatMap(({ methods }) => methods).filter(
  (method): method is DescMethodUnary => method.methodKind === 'unary',
);

let fleet: UnevenFleet;
let transports: readonly Transport[];
let direct: Transport;

beforeAll(async () => {
  fleet = await UnevenFleet.start(METHODS.map(({ name }) => name));
  direct = transportOf('connect', '2', fleet.billing.endpoint);
  transports = WIRES.map(([wire, httpVersion]) => transportOf(wire, httpVersion, fleet.service.url));
}, 60_000);
afterAll(() => fleet?.stop());

function methodOf(name: string): DescMethodUnary {
  const method = METHODS.find((each) => each.name === name);
  if (!method) throw new Error(`there is no RPC ${name}`);
  return method;
}

const RUN = { runId: 'billing-run-00002' };
const WORKFLOW = { workflowId: 'billing-workflow' };
const PARTIAL = ['failing', 'slow'];
/** Of what `old` does not offer. */
const OFFERED = ['failing', 'old', 'slow'];
const none: readonly string[] = [];

const newestRuns = () =>
  [fleet.billing, fleet.old]
    .flatMap(({ data }) => data.runs.map((run) => ({ run, startedAt: data.startOf(run) })))
    .toSorted((a, b) => b.startedAt - a.startedAt)
    .map(({ run }) => toJson(RunSchema, run));
const workflows = (...of: FlowWatchSubsystem[]) =>
  of.flatMap(({ data }) => data.workflows.map((each) => toJson(WorkflowDefinitionSchema, each)));
const spanOf = (spanId: string) => expect.objectContaining({ spanId });
const summaryOf = (id: string) => expect.objectContaining({ subsystem: expect.objectContaining({ id }) });

/** Their lists have an order of the gateway's own, since they are merged. */
const OWN_ORDER: ReadonlySet<string> = new Set([
  'ListWorkflows',
  'GetSubsystem',
  'GetStepHeatmap',
  'Search',
  'Suggest',
]);

/** By default what `billing` answers when it is asked itself. */
const READS: ReadonlyArray<
  readonly [name: string, request: JsonObject, missing: readonly string[], expected?: () => object]
> = [
  [
    'ListRuns',
    { pagination: { limit: 7 } },
    PARTIAL,
    () => ({ runs: newestRuns().slice(0, 7), pagination: { nextCursor: expect.any(String) } }),
  ],
  ['GetRun', RUN, none],
  ['GetRunSteps', RUN, none],
  ['GetRunTimeline', RUN, none],
  ['GetRunLogs', { ...RUN, levels: ['LOG_LEVEL_WARN'], pagination: { limit: 2 } }, none],
  [
    'ListWorkflows',
    {},
    PARTIAL,
    () => ({ workflows: workflows(fleet.billing, fleet.old), pagination: expect.anything() }),
  ],
  ['GetWorkflow', WORKFLOW, none],
  ['GetGraph', WORKFLOW, none],
  ['GetCapabilities', {}, none],
  ['ListSubsystems', {}, PARTIAL, () => ({ subsystems: ['billing', 'failing', 'old', 'slow'].map(summaryOf) })],
  [
    'GetSubsystem',
    { subsystemId: 'billing' },
    none,
    () => ({ subsystem: summaryOf('billing'), workflows: workflows(fleet.billing) }),
  ],
  [
    'GetTrace',
    { traceId: 'trace-1' },
    PARTIAL,
    () => ({
      traceId: 'trace-1',
      spans: expect.arrayContaining([spanOf('billing-span-1'), spanOf('old-span-1')]),
      totalDuration: expect.any(String),
      subsystemCount: 2,
    }),
  ],
  ['GetThroughput', {}, OFFERED],
  ['GetLatency', {}, OFFERED],
  ['GetFailureRate', {}, OFFERED],
  ['GetStepDuration', WORKFLOW, none],
  ['GetStepHeatmap', {}, OFFERED],
  ['Search', { query: 'order', pagination: { limit: 200 } }, OFFERED],
  ['Suggest', { field: 'workflow', prefix: 'b', limit: 3 }, OFFERED],
  ['Explain', { rawQuery: 'order' }, none],
  ['Reindex', {}, OFFERED],
  ['GetIndexStats', {}, OFFERED],
];

const COMMANDS: ReadonlyArray<readonly [name: string, more: JsonObject, expected: unknown]> = [
  ['RetryRun', {}, { newRunId: expect.stringMatching(/^old-run-/) }],
  ['RetryFromStep', { stepName: 'charge' }, { newRunId: expect.stringMatching(/^old-run-/) }],
  ['CancelRun', { reason: 'because' }, {}],
  ['PauseRun', {}, {}],
  ['ResumeRun', {}, {}],
  ['SkipStep', { stepName: 'charge', reason: 'because' }, {}],
];
const BULK = ['BulkRetry', 'BulkCancel'] as const;

describe('every RPC, over every wire, of subsystems of which one is slow, one fails and one is old', () => {
  it('is in this list', () => {
    const held = [...READS, ...COMMANDS].map(([name]) => name);
    expect([...held, ...BULK].toSorted()).toEqual(METHODS.map(({ name }) => name).toSorted());
  });

  it.each(READS.map((each) => ({ name: each[0], read: each })))(
    '$name answers alike, and says whose part is missing',
    async ({ name, read: [, request, missing, expected] }) => {
      const form = OWN_ORDER.has(name) ? sorted : (answer: object): object => answer;
      const wanted = form(expected ? expected() : (await ask(direct, methodOf(name), request)).answer);
      for (const [index, transport] of transports.entries()) {
        const told = await ask(transport, methodOf(name), request);
        const answer = form(told.answer);
        expect([WIRES[index], { ...told, answer }]).toEqual([WIRES[index], { answer: wanted, missing }]);
      }
    },
  );

  it.each(COMMANDS)('%s is done once, by the owner, with its key', async (name, more, expected) => {
    for (const [index, transport] of transports.entries()) {
      const runId = `old-run-0000${index}`;
      const key = `${name}-${index}`;
      const { answer } = await ask(transport, methodOf(name), { runId, ...more }, { 'Idempotency-Key': key });
      expect(answer).toEqual(expected);
      const effects = fleet.all.flatMap(({ services }) => services.effects).filter(({ method }) => method === name);
      expect(effects.filter((each) => each.runId === runId)).toEqual([{ method: name, runId, idempotencyKey: key }]);
      expect(effects).toHaveLength(index + 1);
    }
  });

  it.each(BULK)('%s is split by owner and answered run by run', async (name) => {
    for (const [index, transport] of transports.entries()) {
      const runIds = [`billing-run-0001${index}`, 'nobody', `old-run-0001${index}`];
      const { answer } = await ask(transport, methodOf(name), { runIds });
      const done = { success: true, ...(name === 'BulkRetry' ? { newRunId: expect.any(String) } : {}) };
      const lost = { error: expect.stringMatching(/unavailable.*slow.*failing|unavailable.*failing.*slow/) };
      expect(answer).toEqual({
        results: runIds.map((runId) => ({ runId, ...(runId === 'nobody' ? lost : done) })),
      });
      for (const subsystem of [fleet.billing, fleet.old]) {
        const effects = subsystem.services.effects.filter(({ method }) => method === name);
        expect(effects.map(({ runId }) => runId)).toEqual(
          Array.from({ length: index + 1 }, (_, n) => `${subsystem.data.options.id}-run-0001${n}`),
        );
      }
    }
  });
});

describe.each(WIRES)('every stream, of the same subsystems, over %s on HTTP/%s', (wire, httpVersion) => {
  const { watchRuns, watchRun, watchStats } = StreamService.method;
  const follow = async (
    method: DescMethodServerStreaming,
    request: JsonObject,
    isWanted: (message: JsonObject) => boolean,
    happen: () => void = () => undefined,
  ) => {
    const transport = transportOf(wire, httpVersion, fleet.service.url);
    const told: Array<Awaited<ReturnType<typeof watch>>> = [];
    const watched = watch(transport, method, request, isWanted).then((each) => told.push(each));
    await eventually(
      () => Promise.resolve(happen()),
      () => told.length > 0,
      20_000,
    );
    await watched;
    return told[0];
  };

  it('WatchRuns tells of all that there are and of what happens', async () => {
    for (const { data, services } of [fleet.billing, fleet.old]) {
      const known = data.run(`${data.options.id}-run-00007`);
      if (!known) throw new Error('there is no such run');
      const run = { ...known, status: RunStatus.PAUSED };
      const told = await follow(
        watchRuns,
        { includeInitialSnapshot: true },
        ({ run: each }) => isDeepStrictEqual(each, toJson(RunSchema, run)),
        () => services.emitRun({ eventType: RunEventType.UPDATED, run }),
      );
      expect(told?.polled).toContain('old');
    }
  });

  it('WatchRun tells what its owner tells', async () => {
    const logEntry = { runId: 'billing-run-00003', stepName: 'charge', lineNumber: 7n, message: 'as it was told' };
    const told = await follow(
      watchRun,
      { runId: 'billing-run-00003' },
      ({ eventType }) => eventType === 'RUN_DETAIL_EVENT_TYPE_LOG_APPENDED',
      () =>
        fleet.billing.services.emitDetail('billing-run-00003', {
          eventType: RunDetailEventType.LOG_APPENDED,
          logEntry,
        }),
    );
    expect(told?.message).toMatchObject({ logEntry: { ...logEntry, lineNumber: '7' } });
  });

  it('WatchStats adds up', async () => {
    const told = await follow(watchStats, { intervalSeconds: 1 }, ({ running }) => Number(running) > 0);
    const running = [fleet.billing, fleet.old].flatMap(({ data }) =>
      data.runs.filter((run) => run.status === RunStatus.RUNNING),
    );
    expect(told?.message).toMatchObject({ running: running.length, ratePerMinute: expect.any(Number) });
  });
});

function sorted(answer: object): object {
  const ordered = (value: unknown): unknown =>
    Array.isArray(value) ? value.toSorted((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1)) : value;
  return Object.fromEntries(Object.entries(answer).map(([key, value]) => [key, ordered(value)]));
}
