import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { createClient } from '@connectrpc/connect';
import { createConnectTransport } from '@connectrpc/connect-node';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { StreamService } from '../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { RunSchema } from '../src/gateway/gen/flowwatch/v1/types_pb.js';
import { ApiClient, eventually } from './support/api-client.js';
import { FlowWatchSubsystem, type FlowWatchSubsystemOptions } from './support/flowwatch-subsystem.js';
import { RegistrationClient } from './support/registration-client.js';
import { Service } from './support/service.js';

type JsonSchema = Exclude<Parameters<typeof z.fromJSONSchema>[0], boolean>;

interface Operation {
  readonly responses: Record<string, { content?: Record<string, { schema: JsonSchema }> }>;
}

interface Document {
  readonly paths: Record<string, Record<string, Operation>>;
  readonly components: { readonly schemas: Record<string, JsonSchema> };
}

let service: Service;
let api: ApiClient;
const subsystems: FlowWatchSubsystem[] = [];

beforeAll(async () => {
  service = await Service.start({
    environment: { CROWSNEST_GATEWAY_HEARTBEAT: '1s', CROWSNEST_GATEWAY_GRACE: '1s' },
  });
  api = new ApiClient(service.url);
}, 60_000);
afterAll(async () => {
  await service.dispose();
  for (const subsystem of subsystems) await subsystem.stop();
});

async function add(options: FlowWatchSubsystemOptions): Promise<FlowWatchSubsystem> {
  const subsystem = await new FlowWatchSubsystem(options).start();
  subsystems.push(subsystem);
  await api.must('POST', '/gateway/subsystems', { body: { id: options.id, endpoint: subsystem.endpoint } });
  await eventually(
    () => api.must('GET', `/gateway/subsystems/${options.id}`),
    ({ state }) => state === 'connected',
  );
  return subsystem;
}

const remove = (id: string): Promise<unknown> => api.must('DELETE', `/gateway/subsystems/${id}`);

describe('answers of the gateway over REST', () => {
  let document: Document;
  beforeAll(async () => {
    document = await api.must<Document>('GET', '/api/openapi.json');
    await add({ id: 'billing', runs: 12 });
    await add({ id: 'old', runs: 3, old: true });
  });
  afterAll(() => Promise.all([remove('billing'), remove('old')]));

  const bulk = { runIds: ['billing-run-00001', 'nobody-has-it', 'old-run-00001'] };
  const step = { stepName: 'charge' };
  it.each<readonly [string, string, string[], unknown?]>([
    ['GET', '/gateway/subsystems', ['', '?limit=1', '?limit=0']],
    ['POST', '/gateway/subsystems', [''], { id: 'billing', endpoint: 'http://127.0.0.1:1' }],
    ['POST', '/gateway/subsystems', [''], { id: '~', endpoint: 'nowhere' }],
    ['GET', '/gateway/subsystems/{id}', ['billing', 'nobody']],
    ['POST', '/gateway/subsystems/{id}/mark-stale', ['nobody']],
    ['GET', '/gateway/runs', ['', '?limit=2', '?status=failed', '?subsystemId=nobody', '?cursor=none-of-yours']],
    ['GET', '/gateway/runs/{id}', ['billing-run-00002', 'billing~billing-run-00002', 'nobody-has-it']],
    ['GET', '/gateway/runs/{id}/steps', ['billing-run-00002', 'nobody-has-it']],
    ['GET', '/gateway/runs/{id}/timeline', ['billing-run-00002', 'nobody-has-it']],
    ['GET', '/gateway/runs/{id}/logs', ['billing-run-00002', 'billing-run-00002?limit=1', 'nobody-has-it']],
    ['POST', '/gateway/runs/{id}/retry', ['billing-run-00002', 'nobody-has-it']],
    ['POST', '/gateway/runs/{id}/cancel', ['billing-run-00003', 'nobody-has-it']],
    ['POST', '/gateway/runs/{id}/pause', ['billing-run-00003']],
    ['POST', '/gateway/runs/{id}/resume', ['billing-run-00003']],
    ['POST', '/gateway/runs/{id}/skip-step', ['billing-run-00003'], step],
    ['POST', '/gateway/runs/{id}/skip-step', ['billing-run-00003'], {}],
    ['POST', '/gateway/runs/{id}/retry-from-step', ['billing-run-00002'], step],
    ['POST', '/gateway/runs/bulk-retry', [''], bulk],
    ['POST', '/gateway/runs/bulk-cancel', [''], bulk],
    ['POST', '/gateway/runs/bulk-cancel', [''], { runIds: [] }],
    ['GET', '/gateway/workflows', ['', '?limit=1', '?limit=none']],
    ['GET', '/gateway/workflows/{id}', ['billing-workflow', 'nobody-has-it']],
    ['GET', '/gateway/workflows/{id}/graph', ['billing-workflow', 'nobody-has-it']],
    ['GET', '/gateway/capabilities', ['']],
    ['GET', '/gateway/traces/{id}', ['trace-1', 'nobody-has-it']],
    ['GET', '/gateway/search', ['?query=order', '?query=x&limit=0']],
    ['GET', '/gateway/search/suggest', ['?field=workflow&prefix=b', '?prefix=b']],
    ['GET', '/gateway/analytics/throughput', ['', '?workflowId=old-workflow', '?from=yesterday']],
    ['GET', '/gateway/analytics/latency', ['']],
    ['GET', '/gateway/analytics/failure-rate', ['']],
    ['GET', '/gateway/analytics/step-duration', ['']],
    ['GET', '/gateway/analytics/step-heatmap', ['']],
  ])('are of the shape that the OpenAPI document shows: %s %s of %j', async (method, route, variants, ...[body]) => {
    for (const variant of variants) {
      const path = route.includes('{id}') ? withId(route, variant) : `${route}${variant}`;
      const answer = await api.call(method, path, body === undefined ? {} : { body });
      const schema = shown(document, method, route, answer.status, answer.headers);
      expect([path, answer.status, z.fromJSONSchema(schema).safeParse(answer.body).error]).toEqual([
        path,
        answer.status,
        undefined,
      ]);
    }
  });
});

function withId(route: string, variant: string): string {
  const [id = '', query] = variant.split('?');
  return `${route.replace('{id}', id)}${query === undefined ? '' : `?${query}`}`;
}

/** The schema of an answer, with its references beside it. Fields that it does not name are none that may come. */
function shown(
  { paths, components }: Document,
  method: string,
  route: string,
  status: number,
  headers: Headers,
): JsonSchema {
  const { responses } = paths[`/api/v1${route}`]?.[method.toLowerCase()] ?? { responses: {} };
  const type = headers.get('content-type')?.split(';', 1)[0] ?? '';
  const schema = (responses[status] ?? responses['default'])?.content?.[type]?.schema;
  if (!schema) throw new Error(`${method} ${route} does not show its ${status} of ${type}`);
  const text = JSON.stringify({ ...schema, $defs: components.schemas });
  return JSON.parse(text.replaceAll('#/components/schemas/', '#/$defs/'), closed) as JsonSchema;
}

function closed(name: string, value: unknown): unknown {
  const isObject = typeof value === 'object' && value !== null && 'properties' in value && name !== 'Problem';
  return isObject && !('additionalProperties' in value) ? { ...value, additionalProperties: false } : value;
}

describe('a subsystem whose times are none', () => {
  const NEVER = { seconds: 9_223_372_036_854_775_807n, nanos: 0 };
  const never = create(RunSchema, { startedAt: NEVER, finishedAt: NEVER, duration: NEVER });
  let good: FlowWatchSubsystem;
  let odd: FlowWatchSubsystem;
  beforeAll(async () => {
    good = await add({ id: 'good', runs: 3 });
    odd = await add({ id: 'odd', runs: 1 });
    const { startedAt, finishedAt, duration } = never;
    odd.data.addRun({ startedAt, finishedAt, duration });
  });
  afterAll(() => Promise.all([remove('good'), remove('odd')]));

  it('is listed with all others, without these times', async () => {
    const { body } = await api.call<{ items: Array<Record<string, unknown>> }>('GET', '/gateway/runs');
    expect(body.items).toHaveLength(5);
    const shownRun = body.items.find(({ id }) => id === 'odd-run-00001');
    expect(shownRun).toMatchObject({ startedAt: null, finishedAt: null, durationMs: null });
    const response = await fetch(`${service.url}/flowwatch.v1.RunService/ListRuns`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: '{}',
    });
    const { runs } = (await response.json()) as { runs: Array<{ id: string; startedAt?: string }> };
    expect(runs.filter(({ startedAt }) => startedAt === undefined).map(({ id }) => id)).toEqual(['odd-run-00001']);
    expect(runs).toHaveLength(5);
  });

  it('ends no stream of those who read JSON', async () => {
    const transport = createConnectTransport({ baseUrl: service.url, httpVersion: '2', useBinaryFormat: false });
    const end = new AbortController();
    const seen: Array<string | undefined> = [];
    const watching = (async () => {
      const events = createClient(StreamService, transport).watchRuns({}, { signal: end.signal });
      for await (const { run } of events) if (seen.push(run?.id) === 2) return;
    })();
    await eventually(
      () => Promise.resolve(good.services.watchers + odd.services.watchers),
      (watchers) => watchers === 2,
    );
    odd.services.emitRun({ run: { ...never, id: 'odd-run-00000' }, eventTime: NEVER });
    await eventually(
      () => Promise.resolve(seen),
      ({ length }) => length === 1,
    );
    good.services.emitRun({ run: { id: 'good-run-00000', startedAt: timestampFromMs(0) } });
    await watching;
    expect(seen).toEqual(['odd-run-00000', 'good-run-00000']);
    end.abort();
  });
});

describe('subsystems that come and go all the time', () => {
  const ofSubsystems = async (): Promise<string[]> =>
    (await api.must<string>('GET', '/metrics')).split('\n').filter((line) => line.includes('subsystem="'));

  it('leave nothing behind', async () => {
    const subsystem = await new FlowWatchSubsystem({ id: 'flapping', runs: 1 }).start();
    subsystems.push(subsystem);
    const transport = createConnectTransport({ baseUrl: service.url, httpVersion: '2' });
    for (let n = 0; n < 60; n += 1) {
      const subsystemId = n % 2 === 0 ? 'flapping' : `flapping-${n}`;
      const flowwatchEndpoint = n % 2 === 0 ? subsystem.endpoint : `http://127.0.0.1:${20_000 + n}`;
      const client = RegistrationClient.registering(transport, { subsystemId, flowwatchEndpoint });
      await eventually(
        () => Promise.resolve(client.said[0]),
        (said) => said === 'registered true',
      );
      client.cut();
    }
    await eventually(
      () => api.must<{ items: unknown[] }>('GET', '/gateway/subsystems'),
      ({ items }) => items.length === 0,
    );
    expect(await ofSubsystems()).toEqual([]);
    const metrics = await api.must<string>('GET', '/metrics');
    expect(metrics).toContain('crowsnest_gateway_registration_streams 0\n');
    expect(metrics).toContain('crowsnest_gateway_subsystem_connections 0\n');
    expect(subsystem.connections).toBe(0);
    // One call-back at a time, however often it came.
    expect(subsystem.count('GetCapabilities')).toBeLessThanOrEqual(30);
  });
});
