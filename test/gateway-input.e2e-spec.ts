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
import { GATEWAY_MISTAKES, RUN } from './support/gateway-mistakes.js';
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
  await service?.dispose();
  await billing?.stop();
});

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
  it.each(GATEWAY_MISTAKES.map((each) => [`${each[0].slice(0, 60)} and ${each[3]} (${each[5]})`, each] as const))(
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

describe.each(WIRES)('JSON over %s', (_name, transportTo) => {
  let transport: Transport;

  beforeAll(() => {
    transport = transportTo(service.url);
  });

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
    return transport.unary(method, undefined, undefined, undefined, message);
  };

  const watchRuns = async (json: JsonObject): Promise<unknown> => {
    const method = { ...StreamService.method.watchRuns, input: StructSchema };
    const end = new AbortController();
    const messages = (async function* () {
      yield fromJson(StructSchema, json);
    })();
    const answer = await transport.stream(method, end.signal, undefined, undefined, messages);
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
    // What is still being sent when the refusal comes must not keep it from the client, nor break what comes after it.
    for (const length of [300_000, 2_000_000]) {
      const text = 'x'.repeat(length);
      expect(await told(listRuns({ orderBy: text }))).toMatchObject(large);
      expect(await told(watchRuns({ workflowIds: [text] }))).toMatchObject(large);
      expect((await listRuns({ pagination: { limit: 1 } })).message).toMatchObject({ runs: [{}] });
    }
  });
});
