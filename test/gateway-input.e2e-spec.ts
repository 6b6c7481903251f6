import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type JsonObject, fromJson } from '@bufbuild/protobuf';
import { StructSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { RunService } from '../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import { StreamService } from '../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { BadRequestSchema } from '../src/gateway/gen/google/rpc/error_details_pb.js';
import { ApiClient, eventually } from './support/api-client.js';
import { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { Service } from './support/service.js';

let service: Service;
let api: ApiClient;
let billing: FlowWatchSubsystem;

beforeAll(async () => {
  service = await Service.start({ environment: { CROWSNEST_GATEWAY_MAX_MESSAGE: '200000' } });
  api = new ApiClient(service.url);
  billing = await new FlowWatchSubsystem({ id: 'billing', runs: 4 }).start();
  await api.must('POST', '/gateway/subsystems', { body: { id: 'billing', endpoint: billing.endpoint } });
  await eventually(
    () => api.must('GET', '/gateway/subsystems/billing'),
    ({ state }) => state === 'connected',
    20_000,
  );
}, 60_000);
afterAll(async () => {
  await service.dispose();
  await billing.stop();
});

const x = (length: number): string => 'x'.repeat(length);
const many = (count: number, text = 'r'): string[] => Array.from({ length: count }, () => text);
const query = (name: string, values: readonly string[]): string => values.map((each) => `${name}=${each}`).join('&');
const RUN = 'billing-run-00001';
const RANGE = { from: '2026-01-02T00:00:00Z', to: '2026-01-01T00:00:00Z' };
const IN_QUERY = `from=${RANGE.from}&to=${RANGE.to}`;

/** The same mistake on both sides: where it is in REST, and where in the message. */
const MISTAKES: ReadonlyArray<readonly [string, object | undefined, string, string, JsonObject, string]> = [
  [
    `POST /gateway/runs/${RUN}/cancel`,
    { reason: x(4_097) },
    'reason',
    'RunService/CancelRun',
    { runId: RUN, reason: x(4_097) },
    'reason',
  ],
  [
    `POST /gateway/runs/${RUN}/skip-step`,
    { stepName: 's', reason: x(5_000) },
    'reason',
    'RunService/SkipStep',
    { runId: RUN, stepName: 's', reason: x(5_000) },
    'reason',
  ],
  [
    `POST /gateway/runs/${RUN}/skip-step`,
    { stepName: '' },
    'stepName',
    'RunService/SkipStep',
    { runId: RUN },
    'step_name',
  ],
  [
    'POST /gateway/runs/bulk-cancel',
    { runIds: ['a'], reason: x(4_097) },
    'reason',
    'RunService/BulkCancel',
    { runIds: ['a'], reason: x(4_097) },
    'reason',
  ],
  ['POST /gateway/runs/bulk-retry', { runIds: [] }, 'runIds', 'RunService/BulkRetry', {}, 'run_ids'],
  [
    'POST /gateway/runs/bulk-retry',
    { runIds: many(101) },
    'runIds',
    'RunService/BulkRetry',
    { runIds: many(101) },
    'run_ids',
  ],
  [
    'POST /gateway/runs/bulk-cancel',
    { runIds: ['a', ''] },
    'runIds[1]',
    'RunService/BulkCancel',
    { runIds: ['a', ''] },
    'run_ids[1]',
  ],
  [`GET /gateway/runs/${x(2_049)}`, undefined, 'id', 'RunService/GetRun', { runId: x(2_049) }, 'run_id'],
  [
    'GET /gateway/runs?limit=-1',
    undefined,
    'limit',
    'RunService/ListRuns',
    { pagination: { limit: -1 } },
    'pagination.limit',
  ],
  [
    'GET /gateway/runs?limit=many',
    undefined,
    'limit',
    'RunService/ListRuns',
    { pagination: { limit: 'many' } },
    'pagination.limit',
  ],
  [
    'GET /gateway/runs?cursor=nonsense',
    undefined,
    'cursor',
    'RunService/ListRuns',
    { pagination: { cursor: 'nonsense' } },
    'pagination.cursor',
  ],
  ['GET /gateway/runs?orderBy=colour', undefined, 'orderBy', 'RunService/ListRuns', { orderBy: 'colour' }, 'order_by'],
  [
    'GET /gateway/runs?status=bogus',
    undefined,
    'status',
    'RunService/ListRuns',
    { filter: { statuses: ['RUN_STATUS_BOGUS'] } },
    'filter.statuses[0]',
  ],
  [
    `GET /gateway/runs?${IN_QUERY}`,
    undefined,
    'to',
    'RunService/ListRuns',
    { filter: { timeRange: RANGE } },
    'filter.time_range.to',
  ],
  [
    'GET /gateway/runs?from=yesterday',
    undefined,
    'from',
    'RunService/ListRuns',
    { filter: { timeRange: { from: 'yesterday' } } },
    'filter.time_range.from',
  ],
  [
    `GET /gateway/runs?traceId=${x(2_049)}`,
    undefined,
    'traceId',
    'RunService/ListRuns',
    { filter: { traceId: x(2_049) } },
    'filter.trace_id',
  ],
  [
    `GET /gateway/runs?${query('workflowId', many(101))}`,
    undefined,
    'workflowId',
    'RunService/ListRuns',
    { filter: { workflowIds: many(101) } },
    'filter.workflow_ids',
  ],
  [
    `GET /gateway/runs/${RUN}/logs?stepName=${x(2_049)}`,
    undefined,
    'stepName',
    'RunService/GetRunLogs',
    { runId: RUN, stepName: x(2_049) },
    'step_name',
  ],
  [`GET /gateway/search?query=${x(4_097)}`, undefined, 'query', 'SearchService/Search', { query: x(4_097) }, 'query'],
  [
    `GET /gateway/search?query=a&${IN_QUERY}`,
    undefined,
    'to',
    'SearchService/Search',
    { query: 'a', timeRange: RANGE },
    'time_range.to',
  ],
  ['GET /gateway/search/suggest?field=', undefined, 'field', 'SearchService/Suggest', {}, 'field'],
  [
    `GET /gateway/search/suggest?field=f&prefix=${x(1_025)}`,
    undefined,
    'prefix',
    'SearchService/Suggest',
    { field: 'f', prefix: x(1_025) },
    'prefix',
  ],
  [
    `GET /gateway/analytics/latency?granularity=${x(65)}`,
    undefined,
    'granularity',
    'AnalyticsService/GetLatency',
    { filter: { granularity: x(65) } },
    'filter.granularity',
  ],
  [
    `GET /gateway/analytics/step-duration?${IN_QUERY}`,
    undefined,
    'to',
    'AnalyticsService/GetStepDuration',
    { timeRange: RANGE },
    'time_range.to',
  ],
  [
    'GET /gateway/analytics/throughput?from=0000-01-01T00:00:00Z',
    undefined,
    'from',
    'AnalyticsService/GetThroughput',
    { filter: { timeRange: { from: '0000-01-01T00:00:00Z' } } },
    'filter.time_range.from',
  ],
];

async function rpc(name: string, message: JsonObject) {
  const answer = await fetch(`${service.url}/flowwatch.v1.${name}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(message),
  });
  const body = (await answer.json()) as {
    code?: string;
    message?: string;
    details?: ReadonlyArray<{ debug?: { fieldViolations: ReadonlyArray<{ field: string }> } }>;
  };
  const fields = body.details?.flatMap(({ debug }) => debug?.fieldViolations ?? []).map(({ field }) => field);
  return { status: answer.status, code: body.code, fields };
}

describe('bad input', () => {
  it.each(MISTAKES.map((each) => [`${each[0].slice(0, 60)} and ${each[3]} (${each[5]})`, each] as const))(
    'is refused alike over REST and RPC: %s',
    async (_what, [route, body, path, name, message, field]) => {
      const [method = '', url = ''] = route.split(' ');
      const asked = billing.received.length;
      const rest = await api.call<{ code: string; errors?: ReadonlyArray<{ path: string }> }>(
        method,
        url,
        body === undefined ? {} : { body },
      );
      const paths = rest.body.errors?.map((each) => each.path);
      expect([rest.status, rest.body.code, paths]).toEqual([422, 'request.invalid', [path]]);
      expect(await rpc(name, message)).toEqual({ status: 400, code: 'invalid_argument', fields: [field] });
      const effects = billing.received
        .slice(asked)
        .filter(({ method: called }) => /Cancel|Retry|Skip|List/.test(called));
      expect(effects).toEqual([]);
    },
  );

  it.each([
    'runs/billing-run-00001/retry',
    'runs/billing-run-00001/pause',
    'runs/billing-run-00001/resume',
    'subsystems/billing/mark-stale',
  ])('is any field where there is nothing to say: %s', async (path) => {
    const { status, body } = await api.call('POST', `/gateway/${path}`, { body: { reason: 'because' } });
    expect([status, body['errors']]).toEqual([422, [expect.objectContaining({ path: 'reason' })]]);
  });

  it('is not an empty body there, or none', async () => {
    for (const options of [{}, { body: {} }]) {
      expect((await api.call('POST', `/gateway/runs/${RUN}/retry`, options)).status).toBe(200);
    }
  });

  it('of a name that nobody has is told in words that read right', async () => {
    const answer = await fetch(`${service.url}/flowwatch.v1.WorkflowService/GetSubsystem`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json' },
      body: '{"subsystemId":"nobody"}',
    });
    expect(await answer.json()).toEqual({ code: 'not_found', message: 'there is no subsystem nobody' });
  });
});

const WIRES: ReadonlyArray<readonly [string, (baseUrl: string) => Transport]> = [
  ['Connect, HTTP/1.1', (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat: false })],
  ['Connect, h2c', (baseUrl) => createConnectTransport({ baseUrl, httpVersion: '2', useBinaryFormat: false })],
  ['gRPC', (baseUrl) => createGrpcTransport({ baseUrl, useBinaryFormat: false })],
  ['gRPC-Web, HTTP/1.1', (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '1.1', useBinaryFormat: false })],
  ['gRPC-Web, h2c', (baseUrl) => createGrpcWebTransport({ baseUrl, httpVersion: '2', useBinaryFormat: false })],
];

describe.each(WIRES)('JSON over %s', (name, transportTo) => {
  const told = async (call: Promise<unknown>) => {
    const error = await call.then(
      () => new ConnectError('it was taken', Code.Unknown),
      (thrown: unknown) => ConnectError.from(thrown),
    );
    const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
    return { code: Code[error.code], message: error.rawMessage, fields: violations.map(({ field }) => field) };
  };

  // As JSON a Struct is whatever it holds.
  const listRuns = (json: JsonObject) => {
    const method = { ...RunService.method.listRuns, input: StructSchema };
    const message = fromJson(StructSchema, json);
    return transportTo(service.url).unary(method, undefined, undefined, undefined, message);
  };

  const watchRuns = async (json: JsonObject): Promise<unknown> => {
    const method = { ...StreamService.method.watchRuns, input: StructSchema };
    const end = new AbortController();
    const messages = (async function* () {
      yield fromJson(StructSchema, json);
    })();
    const answer = await transportTo(service.url).stream(method, end.signal, undefined, undefined, messages);
    const first = await answer.message[Symbol.asyncIterator]().next();
    end.abort();
    return first;
  };

  it('loses no filter for a status that there is not, and takes what is not known yet', async () => {
    const statuses = ['RUN_STATUS_FAILED', 'RUN_STATUS_BOGUS'];
    const refused = (field: string) => ({
      code: 'InvalidArgument',
      fields: [field],
      message: expect.stringMatching(/must be one of RUN_STATUS_UNSPECIFIED, .*; it is "RUN_STATUS_BOGUS"$/),
    });
    expect(await told(listRuns({ filter: { statuses } }))).toEqual(refused('filter.statuses[1]'));
    expect(await told(watchRuns({ statuses }))).toEqual(refused('statuses[1]'));
    const answer = await listRuns({ later: true, filter: { statuses: [99], later: 'RUN_STATUS_BOGUS' } });
    expect(answer.message).toMatchObject({ runs: [] });
  });

  it('names the field of what cannot be read, and the setting of what is too large', async () => {
    const field = 'filter.time_range.from';
    expect(await told(listRuns({ filter: { timeRange: { from: 'soon' } } }))).toMatchObject({ fields: [field] });
    expect(await told(watchRuns({ workflowIds: 'w' }))).toMatchObject({
      code: 'InvalidArgument',
      fields: ['workflow_ids'],
    });
    const large = {
      code: 'ResourceExhausted',
      message: expect.stringMatching(/200000 .*CROWSNEST_GATEWAY_MAX_MESSAGE/),
    };
    expect(await told(listRuns({ orderBy: x(300_000) }))).toMatchObject(large);
    // Over HTTP/1.1 the connection of a client that is still sending is closed, and it may see no more than that.
    if (name.endsWith('HTTP/1.1')) return;
    expect(await told(watchRuns({ workflowIds: [x(300_000)] }))).toMatchObject(large);
  });
});
