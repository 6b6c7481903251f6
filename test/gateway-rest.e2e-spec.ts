import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { ApiClient, eventually } from './support/api-client.js';
import { FlowWatchSubsystem, type FlowWatchSubsystemOptions } from './support/flowwatch-subsystem.js';
import { Service } from './support/service.js';

const secretOf = (name: string): string => `${name}-0123456789abcdef`;
const KEYS = {
  viewer: 'viewer@team-a',
  operator: 'operator@team-a',
  admin: 'admin@team-a',
  stranger: 'admin@team-b',
  other: 'admin@team-c',
} as const;
const CALL_TIMEOUT_MS = 1_500;

interface Told {
  readonly warnings: ReadonlyArray<{ subsystemId: string; reason: string }>;
  readonly notes: readonly string[];
}
interface Run {
  readonly id: string;
  readonly subsystemId: string | null;
  readonly domain: string | null;
  readonly status: string;
  readonly startedAt: string;
}
interface Page<T> extends Told {
  readonly items: readonly T[];
  readonly nextCursor: string | null;
  readonly totalCount: number | null;
}
interface Problem {
  readonly code: string;
  readonly detail: string;
  readonly errors?: ReadonlyArray<{ path: string }>;
}

let service: Service;
const clients = {} as Record<keyof typeof KEYS, ApiClient>;
const subsystems: FlowWatchSubsystem[] = [];

async function add(options: FlowWatchSubsystemOptions, by: ApiClient): Promise<FlowWatchSubsystem> {
  const subsystem = await new FlowWatchSubsystem(options).start();
  subsystems.push(subsystem);
  await by.must('POST', '/gateway/subsystems', { body: { id: options.id, endpoint: subsystem.endpoint } });
  await eventually(
    () => by.must('GET', `/gateway/subsystems/${options.id}`),
    ({ state }) => state === 'connected',
    20_000,
  );
  return subsystem;
}

let billing: FlowWatchSubsystem;
let shipping: FlowWatchSubsystem;

beforeAll(async () => {
  const keys = Object.entries(KEYS).map(([name, role]) => `${name}:${role}:${secretOf(name)}`);
  service = await Service.start({
    environment: {
      CROWSNEST_API_KEYS: keys.join(','),
      CROWSNEST_GATEWAY_CALL_TIMEOUT: `${CALL_TIMEOUT_MS}ms`,
    },
  });
  for (const name of Object.keys(KEYS) as Array<keyof typeof KEYS>) {
    clients[name] = new ApiClient(service.url, secretOf(name));
  }
  billing = await add({ id: 'billing', runs: 12, domain: 'sales' }, clients.operator);
  shipping = await add({ id: 'shipping', runs: 8, domain: 'sales' }, clients.operator);
}, 60_000);
afterAll(async () => {
  await service.dispose();
  for (const subsystem of subsystems) await subsystem.stop();
});
afterEach(() => {
  for (const subsystem of subsystems) subsystem.fail();
});

const list = (query = '', by = clients.viewer): Promise<Page<Run>> => by.must('GET', `/gateway/runs?${query}`);
const idsOf = ({ items }: Page<Run>): string[] => items.map(({ id }) => id);
const refused = (method: string, path: string, body?: unknown, by = clients.operator) =>
  by.call<Problem>(method, path, body === undefined ? {} : { body });

describe('runs', () => {
  it('are one list, page by page, newest first, each with the subsystem that has it', async () => {
    const seen: Run[] = [];
    let cursor: string | null = '';
    while (cursor !== null) {
      const page: Page<Run> = await list(`limit=7${cursor === '' ? '' : `&cursor=${encodeURIComponent(cursor)}`}`);
      expect(page).toMatchObject({ totalCount: 20, warnings: [], notes: [] });
      seen.push(...page.items);
      cursor = page.nextCursor;
    }
    const all = [...billing.data.runs, ...shipping.data.runs];
    expect(seen.map(({ id }) => id).toSorted()).toEqual(all.map(({ id }) => id).toSorted());
    const times = seen.map(({ startedAt }) => startedAt);
    expect(times).toEqual(times.toSorted().toReversed());
    for (const { id, subsystemId, domain } of seen) expect([subsystemId, domain]).toEqual([id.split('-')[0], 'sales']);
  });

  it('have the shapes of the house', async () => {
    const run = await clients.viewer.must('GET', '/gateway/runs/billing-run-00002');
    expect(run).toEqual({
      id: 'billing-run-00002',
      workflowId: 'billing-workflow',
      subsystemId: 'billing',
      domain: 'sales',
      foreignId: 'order-2',
      status: 'failed',
      currentStep: 'notify',
      trace: {
        traceId: 'trace-2',
        spanId: 'billing-span-2',
        parentSpanId: null,
        additionalTraceIds: [],
        source: 'otel',
      },
      startedAt: expect.stringMatching(/^2026-01-01T00:00:0\d\.\d{3}Z$/),
      finishedAt: expect.stringMatching(/^2026-01-01T00:00:0\d\.\d{3}Z$/),
      durationMs: expect.any(Number),
      error: { message: 'out of paper', code: 'E_PAPER', stackTrace: null },
      metadata: { region: 'north' },
      warnings: [],
      notes: [],
    });
    const { startedAt, finishedAt, durationMs } = run as { startedAt: string; finishedAt: string; durationMs: number };
    expect(Date.parse(finishedAt) - Date.parse(startedAt)).toBe(durationMs);
    const running = await clients.viewer.must('GET', '/gateway/runs/billing-run-00003');
    expect(running).toMatchObject({ status: 'running', finishedAt: null, durationMs: null, error: null });
  });

  it.each([
    ['status=failed&status=running', (run: Run) => ['failed', 'running'].includes(run.status), 7],
    ['subsystemId=shipping', ({ id }: Run) => id.startsWith('shipping'), 8],
    ['subsystemId=sales', () => true, 20],
    ['workflowId=billing-nightly', ({ id }: Run) => id.startsWith('billing'), 6],
    ['traceId=trace-3', ({ id }: Run) => id.endsWith('3'), 2],
    ['foreignId=order-9', ({ id }: Run) => id === 'billing-run-00009', 1],
    ['metadata=region=south', ({ id }: Run) => Number(id.at(-1)) % 2 === 1, 10],
    ['from=2026-01-01T00:00:02Z&to=2026-01-01T01:00:04%2B01:00', ({ id }: Run) => /[23]$/.test(id), 4],
    ['from=2026-01-01T01:00:10%2B01:00', ({ id }: Run) => id.startsWith('billing'), 2],
  ])('are filtered by %s', async (query, matches, count) => {
    const { items } = await list(query);
    expect(items.length).toBe(count);
    expect(items.filter((run) => !matches(run))).toEqual([]);
  });

  it('are ordered as asked', async () => {
    const ids = idsOf(await list('orderBy=id&descending=false&limit=200'));
    expect(ids).toEqual(ids.toSorted());
    expect(idsOf(await list('orderBy=durationMs&limit=1'))).toHaveLength(1);
  });

  it('have steps, a timeline and log lines', async () => {
    const steps = await clients.viewer.must<Page<object>>('GET', '/gateway/runs/billing-run-00002/steps');
    expect(steps).toMatchObject({ nextCursor: null, warnings: [], notes: [] });
    expect(steps.items).toHaveLength(3);
    expect(steps.items[2]).toMatchObject({
      name: 'notify',
      runId: 'billing-run-00002',
      status: 'failed',
      attempt: 1,
      durationMs: 8,
      queueWaitMs: 2,
      input: { step: 'notify' },
      output: null,
      error: { code: 'E_PAPER' },
    });
    const timeline = await clients.viewer.must('GET', '/gateway/runs/billing-run-00002/timeline');
    expect(timeline).toMatchObject({
      runId: 'billing-run-00002',
      totalDurationMs: 30,
      entries: [{ offsetMs: 0 }, { offsetMs: 10, durationMs: 8 }, { stepName: 'notify', status: 'failed' }],
    });
    const path = '/gateway/runs/billing-run-00002/logs?level=warn&limit=2';
    const first = await clients.viewer.must<Page<{ level: string; line: number }>>('GET', path);
    expect(first.items).toMatchObject([
      { level: 'warn', line: 2, stepName: 'validate', message: 'validate says 1' },
      { level: 'warn', line: 4 },
    ]);
    expect(first.totalCount).toBe(3);
    const rest = await clients.viewer.must<Page<{ line: number }>>('GET', `${path}&cursor=${first.nextCursor}`);
    expect([rest.items.map(({ line }) => line), rest.nextCursor]).toEqual([[6], null]);
  });

  it.each([
    ['GET', '/gateway/runs?limit=201', ['limit']],
    ['GET', '/gateway/runs?status=RUNNING', ['status']],
    ['GET', '/gateway/runs?orderBy=started_at', ['orderBy']],
    ['GET', '/gateway/runs?cursor=nonsense', ['cursor']],
    ['GET', '/gateway/runs?metadata=region', ['metadata']],
    ['GET', '/gateway/runs?from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z', ['to']],
    ['GET', '/gateway/runs?from=yesterday&pages=1', ['from', 'pages']],
    ['GET', '/gateway/search', ['query']],
    ['GET', '/gateway/analytics/latency?granularity=', ['granularity']],
    ['POST', '/gateway/runs/billing-run-00002/skip-step', ['stepName']],
    ['POST', '/gateway/runs/bulk-retry', ['runIds']],
  ])('are refused with bad input: %s %s', async (method, path, paths) => {
    const { status, body } = await refused(method, path, method === 'POST' ? {} : undefined);
    expect([status, body.code, body.errors?.map((error) => error.path)]).toEqual([422, 'request.invalid', paths]);
  });

  it('that nobody has are not there', async () => {
    const tooLong = await refused('GET', `/gateway/runs/${'x'.repeat(2_049)}`);
    expect(tooLong).toMatchObject({ status: 422, body: { errors: [{ path: 'id' }] } });
    for (const path of ['runs/none', 'runs/none/logs', 'workflows/none', 'workflows/none/graph', 'traces/none']) {
      expect(await refused('GET', `/gateway/${path}`)).toMatchObject({
        status: 404,
        body: { code: 'resource.not_found', detail: expect.stringContaining('none') },
      });
    }
    expect((await refused('GET', '/gateway/runs/%E0%A4%A')).status).toBe(400);
  });
});

describe('commands', () => {
  const effects = (subsystem: FlowWatchSubsystem, method: string) =>
    subsystem.services.effects.filter((effect) => effect.method === method);

  it('go to the owner of the run, once for an idempotency key, which goes with them', async () => {
    const options = { headers: { 'Idempotency-Key': 'retry-once' } };
    const path = '/gateway/runs/billing-run-00002/retry';
    const made = await clients.operator.call<{ newRunId: string }>('POST', path, options);
    expect(made).toMatchObject({ status: 200, body: { runId: 'billing-run-00002', warnings: [], notes: [] } });
    const again = await clients.operator.call<{ newRunId: string }>('POST', path, options);
    expect([again.body, again.headers.get('idempotency-replayed')]).toEqual([made.body, 'true']);
    expect(effects(billing, 'RetryRun')).toEqual([
      { method: 'RetryRun', runId: 'billing-run-00002', idempotencyKey: 'retry-once' },
    ]);
    expect(effects(shipping, 'RetryRun')).toEqual([]);
    expect(billing.received.every(({ headers }) => headers.authorization === undefined)).toBe(true);
  });

  it.each([
    ['cancel', 'CancelRun', { reason: 'ordered twice' }],
    ['cancel', 'CancelRun', undefined],
    ['pause', 'PauseRun', undefined],
    ['resume', 'ResumeRun', undefined],
    ['skip-step', 'SkipStep', { stepName: 'notify', reason: 'told by telephone' }],
    ['retry-from-step', 'RetryFromStep', { stepName: 'charge' }],
  ])('%s is %s of the owner', async (command, method, body) => {
    const before = effects(shipping, method).length;
    const path = `/gateway/runs/shipping-run-00003/${command}`;
    const answer = await clients.operator.must<{ newRunId: string | null }>('POST', path, body ? { body } : {});
    expect(answer).toMatchObject({ runId: 'shipping-run-00003' });
    expect(answer.newRunId === null).toBe(command !== 'retry-from-step');
    expect(effects(shipping, method).slice(before)).toMatchObject([{ runId: 'shipping-run-00003' }]);
  });

  it('on many runs are split by owner and answered one by one', async () => {
    const body = { runIds: ['billing-run-00004', 'none', 'shipping-run-00004'], reason: 'closing time' };
    const answer = await clients.operator.must<Page<object>>('POST', '/gateway/runs/bulk-cancel', { body });
    expect(answer.items).toEqual([
      { runId: 'billing-run-00004', success: true, error: null, newRunId: null },
      { runId: 'none', success: false, error: expect.stringContaining('none'), newRunId: null },
      { runId: 'shipping-run-00004', success: true, error: null, newRunId: null },
    ]);
    expect(effects(billing, 'BulkCancel')).toMatchObject([{ runId: 'billing-run-00004' }]);
    const retried = await clients.operator.must<Page<{ newRunId: string }>>('POST', '/gateway/runs/bulk-retry', {
      body: { runIds: ['billing-run-00004'] },
    });
    expect(retried.items).toMatchObject([{ success: true, newRunId: expect.stringMatching(/\w/) }]);
  });

  it('and lists take the examples of the OpenAPI document as they stand', async () => {
    const { paths, components } = await clients.viewer.must<{
      paths: Record<string, { get?: { parameters?: Array<{ name: string; schema: { example?: string } }> } }>;
      components: { schemas: Record<string, { example?: unknown }> };
    }>('GET', '/api/openapi.json');
    const bodies = {
      'shipping-run-00005/cancel': 'CancelGatewayRun',
      'shipping-run-00005/skip-step': 'SkipGatewayRunStep',
      'shipping-run-00005/retry-from-step': 'RetryGatewayRunFromStep',
      'bulk-retry': 'RetryGatewayRuns',
      'bulk-cancel': 'CancelGatewayRuns',
    };
    for (const [path, name] of Object.entries(bodies)) {
      const body = components.schemas[name]?.example;
      expect([name, body]).toEqual([name, expect.any(Object)]);
      await clients.operator.must('POST', `/gateway/runs/${path}`, { body });
    }
    const lists = Object.entries(paths).filter(([path]) => /\/gateway\/(?!streams|subsystems)[^{]*$/.test(path));
    expect(lists.length).toBeGreaterThan(8);
    for (const [path, { get }] of lists) {
      const examples = (get?.parameters ?? []).flatMap(({ name, schema: { example } }) =>
        example === undefined ? [] : [`${name}=${encodeURIComponent(example)}`],
      );
      if (get) await clients.viewer.must('GET', `${path.replace('/api/v1', '')}?${examples.join('&')}`);
    }
  });

  it('of which nobody knows whether they took effect say so', async () => {
    billing.loseAnswer('PauseRun');
    const { status, body } = await refused('POST', '/gateway/runs/billing-run-00003/pause');
    expect([status, body.code]).toEqual([502, 'gateway.outcome_unknown']);
    expect(body.detail).toContain('billing-run-00003');
    expect(effects(billing, 'PauseRun')).toHaveLength(1);
  });

  it('of which nobody knows whether they took effect are not done again for their idempotency key', async () => {
    billing.loseAnswer('RetryRun');
    const before = effects(billing, 'RetryRun').length;
    const path = '/gateway/runs/billing-run-00004/retry';
    const options = { headers: { 'Idempotency-Key': 'retry-lost' } };
    const [first, again] = [
      await clients.operator.call<Problem>('POST', path, options),
      await clients.operator.call<Problem>('POST', path, options),
    ];
    expect([first.status, first.body.code]).toEqual([502, 'gateway.outcome_unknown']);
    expect([again.status, again.body]).toEqual([502, first.body]);
    expect(again.headers.get('content-type')).toContain('application/problem+json');
    expect(effects(billing, 'RetryRun')).toHaveLength(before + 1);
  });

  it('need an operator, and leave a row in the audit log', async () => {
    const path = '/gateway/runs/billing-run-00002/retry';
    expect((await refused('POST', path, undefined, clients.viewer)).status).toBe(403);
    await refused('POST', '/gateway/runs/none/retry');
    const rows = await eventually(
      () => clients.admin.must<Page<Record<string, unknown>>>('GET', '/audit-logs?limit=200'),
      ({ items }) => items.some(({ reason }) => reason === 'resource.not_found'),
      10_000,
    );
    const told = rows.items.map(({ action, target, outcome, reason }) => ({ action, target, outcome, reason }));
    expect(told).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ action: 'run.retry', target: { type: 'run', id: 'billing-run-00002' } }),
        expect.objectContaining({ action: 'run.retry', outcome: 'failure', reason: 'resource.not_found' }),
        expect.objectContaining({ action: 'run.skip-step', target: { type: 'run', id: 'shipping-run-00003' } }),
        expect.objectContaining({ action: 'run.bulk-cancel', outcome: 'success' }),
      ]),
    );
  });
});

describe('what the engine tells', () => {
  it('of workflows and their graphs', async () => {
    const page = await clients.viewer.must<Page<Run>>('GET', '/gateway/workflows?limit=3');
    expect(page.items).toMatchObject([
      { id: 'billing-nightly', name: 'Workflow billing-nightly', subsystemId: 'billing', domain: 'sales' },
      { id: 'billing-workflow', engine: 'temporal', version: '1', createdAt: '2026-01-01T00:00:00.000Z' },
      { id: 'shipping-nightly', subsystemId: 'shipping' },
    ]);
    expect(page.totalCount).toBe(4);
    const rest = await clients.viewer.must<Page<Run>>('GET', `/gateway/workflows?cursor=${page.nextCursor}`);
    expect([idsOf(rest), rest.nextCursor]).toEqual([['shipping-workflow'], null]);
    const workflow = await clients.viewer.must('GET', '/gateway/workflows/shipping~shipping-workflow');
    expect(workflow).toMatchObject({ id: 'shipping~shipping-workflow', subsystemId: 'shipping', warnings: [] });
    const graph = await clients.viewer.must('GET', '/gateway/workflows/billing-workflow/graph');
    expect(graph).toMatchObject({
      workflowId: 'billing-workflow',
      nodes: [{ id: 'validate', type: 'step' }, { id: 'charge' }, { id: 'notify' }],
      edges: [
        { source: 'validate', target: 'charge', label: null },
        { source: 'charge', target: 'notify' },
      ],
    });
  });

  it('of capabilities, together and each', async () => {
    const told = await clients.viewer.must('GET', '/gateway/capabilities');
    expect(told).toMatchObject({
      retryRun: true,
      streaming: true,
      search: { engine: 'memory', queryLanguage: false, logRetentionDays: null },
      bySubsystem: [
        { subsystemId: 'billing', capabilities: { retryRun: true, search: { maxResults: 500 } } },
        { subsystemId: 'shipping', capabilities: { analytics: true } },
      ],
      warnings: [],
    });
  });

  it('of a trace through several', async () => {
    const trace = await clients.viewer.must<{ spans: Array<{ subsystemId: string }> }>(
      'GET',
      '/gateway/traces/trace-5',
    );
    expect(trace).toMatchObject({ traceId: 'trace-5', subsystemCount: 2, totalDurationMs: expect.any(Number) });
    expect(trace.spans.map(({ subsystemId }) => subsystemId).toSorted()).toEqual(['billing', 'shipping']);
    expect(trace.spans[0]).toMatchObject({
      offsetMs: 0,
      domain: 'sales',
      run: { domain: 'sales' },
      steps: [{}, {}, {}],
    });
  });

  it('of what was searched for', async () => {
    const first = await clients.viewer.must<Page<Run>>('GET', '/gateway/search?query=order-7&limit=1');
    expect(first).toMatchObject({ totalCount: 2, facets: { status: { failed: 2 } }, queryMs: 3 });
    const next = `/gateway/search?query=order-7&limit=1&cursor=${encodeURIComponent(first.nextCursor ?? '')}`;
    const second = await clients.viewer.must<Page<Run>>('GET', next);
    const found = [...first.items, ...second.items];
    expect(new Set(found.map(({ subsystemId }) => subsystemId))).toEqual(new Set(['billing', 'shipping']));
    expect(found[0]).toMatchObject({ type: 'run', runStatus: 'failed', foreignId: 'order-7', score: 1 });
    const suggested = await clients.viewer.must('GET', '/gateway/search/suggest?field=workflow&prefix=billing');
    expect(suggested).toMatchObject({ items: [{ value: expect.stringMatching(/^billing-/) }, {}], nextCursor: null });
  });

  it('of figures over all runs', async () => {
    const analytics = (path: string) => clients.viewer.must<Told>('GET', `/gateway/analytics/${path}`);
    const range = 'granularity=1d&from=2026-01-01T00:00:00Z&to=2026-01-02T00:00:00Z&workflowId=shipping-nightly';
    const nightly = shipping.data.runs.filter(({ workflowId }) => workflowId === 'shipping-nightly');
    expect(await analytics(`throughput?${range}`)).toMatchObject({
      buckets: [{ timestamp: '2026-01-01T00:00:00.000Z', total: nightly.length, failed: 1 }],
      warnings: [],
      notes: [],
    });
    expect(await analytics(`failure-rate?${range}`)).toMatchObject({
      buckets: [{ rate: 1 / nightly.length, totalRuns: nightly.length }],
    });
    expect(await analytics('latency?granularity=1d')).toMatchObject({
      buckets: expect.arrayContaining([expect.objectContaining({ p50Ms: expect.any(Number) })]),
      notes: ['approximate'],
    });
    expect(await analytics('step-duration')).toMatchObject({
      steps: expect.arrayContaining([expect.objectContaining({ stepName: 'charge', total: expect.any(Object) })]),
      bottleneckThresholdMs: expect.any(Number),
    });
    expect(await analytics(`step-heatmap?subsystemId=billing&${range.replace('shipping', 'billing')}`)).toMatchObject({
      cells: expect.arrayContaining([expect.objectContaining({ stepName: 'notify', averageDurationMs: 8 })]),
      stepNames: ['charge', 'notify', 'validate'].map(() => expect.any(String)),
    });
  });
});

describe('subsystems that do not answer', () => {
  it('are named: the failing and the slow one, whatever the others say', async () => {
    const slow = await add({ id: 'slow', runs: 1 }, clients.operator);
    const failing = await add({ id: 'failing', runs: 1 }, clients.operator);
    const release = slow.hold('ListRuns');
    failing.fail(Code.Internal, 'secret of its inside');
    const page = await list('limit=200');
    expect(page.warnings).toEqual([
      { subsystemId: 'failing', reason: 'failed' },
      { subsystemId: 'slow', reason: 'timeout' },
    ]);
    expect(idsOf(page).some((id) => id.startsWith('billing'))).toBe(true);
    expect(page.totalCount).toBeNull();
    expect(JSON.stringify(page)).not.toContain('secret of its inside');
    release();
    const one = slow.hold('GetRun');
    expect(await refused('GET', '/gateway/runs/slow~slow-run-00000')).toMatchObject({
      status: 504,
      body: { code: 'gateway.subsystem_timeout' },
    });
    one();
    expect(await refused('GET', '/gateway/runs/failing~failing-run-00000')).toMatchObject({
      status: 502,
      body: { code: 'gateway.subsystem_failed', detail: expect.not.stringContaining('secret') },
    });
    for (const id of ['slow', 'failing']) await clients.operator.call('DELETE', `/gateway/subsystems/${id}`);
  });

  it('all of them, are no empty list', async () => {
    billing.fail(Code.Unavailable);
    shipping.fail(Code.Unavailable);
    for (const path of ['runs', 'workflows', 'analytics/throughput', 'search?query=x', 'traces/trace-1']) {
      const { status, body } = await refused('GET', `/gateway/${path}`);
      expect([path, status, body.code]).toEqual([path, 503, 'gateway.subsystem_unavailable']);
      expect(body.detail).toMatch(/billing .*shipping/);
    }
  });

  it('hold nobody up who has left, and that is no error', async () => {
    const release = billing.hold('GetRunSteps');
    const left = new AbortController();
    const before = billing.count('GetRunSteps');
    const headers = { authorization: `Bearer ${secretOf('viewer')}` };
    const path = service.api('/gateway/runs/billing-run-00001/steps');
    const answer = fetch(path, { headers, signal: left.signal }).then(
      () => 'answered',
      () => 'left',
    );
    await eventually(
      () => Promise.resolve(billing.count('GetRunSteps')),
      (count) => count > before,
      5_000,
    );
    left.abort();
    expect(await answer).toBe('left');
    release();
    expect(service.lines.filter(({ level }) => level === 'error')).toEqual([]);
  });

  it('or do not offer it, are told apart', async () => {
    await add({ id: 'old', runs: 2, old: true }, clients.other);
    const path = '/gateway/analytics/throughput';
    expect(await refused('GET', path, undefined, clients.other)).toMatchObject({
      status: 501,
      body: { code: 'gateway.unimplemented' },
    });
    expect((await list('', clients.other)).items).toHaveLength(2);
    const told = await clients.other.must('GET', '/gateway/capabilities');
    expect(told).toMatchObject({ analytics: false, search: null, bySubsystem: [{ subsystemId: 'old' }] });
  });
});

describe('tenants', () => {
  it('see nothing of each other', async () => {
    for (const path of [
      'runs/billing-run-00002',
      'runs/billing~billing-run-00002',
      'runs/billing-run-00002/steps',
      'workflows/billing-workflow',
      'traces/trace-5',
    ]) {
      expect([path, (await refused('GET', `/gateway/${path}`, undefined, clients.stranger)).status]).toEqual([
        path,
        404,
      ]);
    }
    const before = billing.services.effects.length;
    const foreign = await refused('POST', '/gateway/runs/billing-run-00002/retry', undefined, clients.stranger);
    expect([foreign.status, billing.services.effects.length]).toEqual([404, before]);
    const empty = { items: [], nextCursor: null, totalCount: 0, warnings: [], notes: [] };
    expect(await list('', clients.stranger)).toEqual(empty);
    expect((await list('subsystemId=billing', clients.stranger)).items).toEqual([]);
    expect(await clients.stranger.must('GET', '/gateway/workflows')).toEqual(empty);
    const { body } = await clients.stranger.call('POST', '/gateway/runs/bulk-retry', {
      body: { runIds: ['billing-run-00002'] },
    });
    expect(body).toMatchObject({ items: [{ success: false }] });
    expect(billing.services.effects.length).toBe(before);
  });
});

describe('ids that two subsystems have', () => {
  const ODD = 'a/b~c%2Fd ü?';

  it('are qualified in answers, and in the path decoded once', async () => {
    for (const id of ['east', 'west']) await add({ id, runs: 1, runId: () => ODD }, clients.stranger);
    const bare = await refused('GET', `/gateway/runs/${encodeURIComponent(ODD)}`, undefined, clients.stranger);
    expect(bare).toMatchObject({ status: 409, body: { code: 'gateway.ambiguous_id' } });
    const { items } = await list('', clients.stranger);
    expect(items).toHaveLength(2);
    expect(new Set(items.map(({ subsystemId }) => subsystemId))).toEqual(new Set(['east', 'west']));
    for (const { id, subsystemId } of items) {
      expect(bare.body.detail).toContain(id);
      const run = await clients.stranger.must<Run>('GET', `/gateway/runs/${encodeURIComponent(id)}`);
      expect([run.id, run.subsystemId]).toEqual([id, subsystemId]);
    }
    const [east, west] = subsystems.slice(-2);
    const { id } = items.find(({ subsystemId }) => subsystemId === 'west') ?? { id: '' };
    await clients.stranger.must('POST', `/gateway/runs/${encodeURIComponent(id)}/cancel`);
    expect(west?.services.effects).toMatchObject([{ method: 'CancelRun', runId: ODD }]);
    expect(east?.services.effects).toEqual([]);
  });
});
