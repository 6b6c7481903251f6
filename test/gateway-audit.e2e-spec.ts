import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { Service } from './support/service.js';

const secretOf = (name: string): string => `${name}-0123456789abcdef`;
const KEYS = {
  root: 'admin',
  operator: 'operator',
  viewer: 'viewer',
  ann: 'operator@team-a',
  ben: 'admin@team-b',
  chief: 'admin@team-a',
} as const;
type Name = keyof typeof KEYS;

interface Row {
  readonly id: string;
  readonly tenantId: string;
  readonly action: string;
  readonly target: { readonly type: string; readonly id: string } | null;
  readonly outcome: string;
  readonly reason: string | null;
  readonly route: string;
  readonly detail: Readonly<Record<string, unknown>>;
}

let service: Service;
const clients = {} as Record<Name, ApiClient>;
const subsystems: FlowWatchSubsystem[] = [];

beforeAll(async () => {
  const keys = Object.entries(KEYS).map(([name, role]) => `${name}:${role}:${secretOf(name)}`);
  service = await Service.start({ environment: { CROWSNEST_API_KEYS: keys.join(',') } });
  for (const name of Object.keys(KEYS) as Name[]) clients[name] = new ApiClient(service.url, secretOf(name));
  for (const [id, by] of [
    ['billing', clients.chief],
    ['shipping', clients.ben],
  ] as const) {
    const subsystem = await new FlowWatchSubsystem({ id, runs: 4 }).start();
    subsystems.push(subsystem);
    await by.must('POST', '/gateway/subsystems', { body: { id, endpoint: subsystem.endpoint } });
    await eventually(
      () => by.must('GET', `/gateway/subsystems/${id}`),
      ({ state }) => state === 'connected',
    );
  }
}, 60_000);
afterAll(async () => {
  await service.dispose();
  for (const subsystem of subsystems) await subsystem.stop();
});

async function rowsOf(by: Name, since: Date): Promise<Row[]> {
  const { items } = await clients[by].must<{ items: Row[] }>(
    'GET',
    `/audit-logs?limit=200&since=${since.toISOString()}`,
  );
  return items.toReversed();
}

const isOf = ({ route }: Row): boolean => route.includes('RunService') || route.startsWith('/api/v1/gateway/runs');

let known = new Set<string>();

/** What `root` is shown that it was not shown before, once there are so many. */
async function newRows(count: number, since: Date): Promise<Row[]> {
  const rows = await eventually(
    async () => (await rowsOf('root', since)).filter((row) => isOf(row) && !known.has(row.id)),
    ({ length }) => length >= count,
  );
  known = new Set([...known, ...rows.map(({ id }) => id)]);
  return rows;
}

const told = ({ tenantId, action, target, outcome, reason, detail }: Row): unknown[] => [
  tenantId,
  action,
  target,
  outcome,
  reason,
  detail,
];

async function overRpc(by: Name, method: string, message: object, headers: Record<string, string> = {}): Promise<void> {
  await fetch(`${service.url}/flowwatch.v1.RunService/${method}`, {
    method: 'POST',
    headers: { 'Content-Type': 'application/json', Authorization: `Bearer ${secretOf(by)}`, ...headers },
    body: JSON.stringify(message),
  });
}

const one = (id: string) => ({ type: 'run', id });
const LONG = 'x'.repeat(1_000);

/** By whom, the command over REST, its body, the same over RPC, and the rows of either. */
const COMMANDS: ReadonlyArray<
  readonly [string, Name, string, object, string, object, ReadonlyArray<readonly unknown[]>]
> = [
  [
    'done by somebody of the tenant',
    'ann',
    'billing-run-00001/cancel',
    { reason: 'enough' },
    'CancelRun',
    { runId: 'billing-run-00001', reason: 'enough' },
    [['team-a', 'run.cancel', one('billing-run-00001'), 'success', null, {}]],
  ],
  [
    'done by somebody of all tenants',
    'operator',
    'shipping~shipping-run-00001/skip-step',
    { stepName: 'notify' },
    'SkipStep',
    { runId: 'shipping~shipping-run-00001', stepName: 'notify' },
    [['team-b', 'run.skip-step', one('shipping~shipping-run-00001'), 'success', null, {}]],
  ],
  [
    'of a run that nobody has',
    'operator',
    'nobody/retry',
    {},
    'RetryRun',
    { runId: 'nobody' },
    [['*', 'run.retry', one('nobody'), 'failure', 'resource.not_found', {}]],
  ],
  [
    "of another tenant's run",
    'ann',
    'shipping-run-00001/pause',
    {},
    'PauseRun',
    { runId: 'shipping-run-00001' },
    [['team-a', 'run.pause', one('shipping-run-00001'), 'failure', 'resource.not_found', {}]],
  ],
  [
    'with bad input',
    'operator',
    'billing-run-00001/retry-from-step',
    { stepName: '' },
    'RetryFromStep',
    { runId: 'billing-run-00001' },
    [['*', 'run.retry-from-step', one('billing-run-00001'), 'failure', 'request.invalid', {}]],
  ],
  [
    'of a role that may not',
    'viewer',
    'billing-run-00001/resume',
    {},
    'ResumeRun',
    { runId: 'billing-run-00001' },
    [['*', 'run.resume', one('billing-run-00001'), 'failure', 'auth.forbidden', {}]],
  ],
  [
    'on runs of several tenants',
    'operator',
    'bulk-retry',
    { runIds: ['billing-run-00002', 'shipping-run-00002', 'nobody', 'shipping~gone', LONG] },
    'BulkRetry',
    { runIds: ['billing-run-00002', 'shipping-run-00002', 'nobody', 'shipping~gone', LONG] },
    [
      ['team-a', 'run.bulk-retry', null, 'success', null, { runs: ['billing-run-00002'], failed: 0 }],
      ['team-b', 'run.bulk-retry', null, 'success', null, { runs: ['shipping-run-00002', 'shipping~gone'], failed: 1 }],
      ['*', 'run.bulk-retry', null, 'failure', null, { runs: ['nobody', LONG.slice(0, 200)], failed: 2 }],
    ],
  ],
  [
    'on many runs by a role that may not',
    'viewer',
    'bulk-cancel',
    { runIds: ['billing-run-00003', 'nobody'] },
    'BulkCancel',
    { runIds: ['billing-run-00003', 'nobody'] },
    [['*', 'run.bulk-cancel', null, 'failure', 'auth.forbidden', { runs: ['billing-run-00003', 'nobody'], failed: 2 }]],
  ],
  [
    'on many runs with bad input',
    'ann',
    'bulk-cancel',
    { runIds: ['billing-run-00003', ''] },
    'BulkCancel',
    { runIds: ['billing-run-00003', ''] },
    [['team-a', 'run.bulk-cancel', null, 'failure', 'request.invalid', { runs: ['billing-run-00003', ''], failed: 2 }]],
  ],
];

describe('the audit log of commands to runs', () => {
  it.each(COMMANDS)(
    'tells the same of one %s over REST and over RPC',
    async (_, by, path, body, method, message, rows) => {
      const since = new Date(Date.now() - 60_000);
      await clients[by].call('POST', `/gateway/runs/${path}`, { body });
      expect((await newRows(rows.length, since)).map(told)).toEqual(rows);
      await overRpc(by, method, message);
      expect((await newRows(rows.length, since)).map(told)).toEqual(rows);
    },
  );

  it('shows each tenant what was done to its runs by somebody of all tenants', async () => {
    const since = new Date(Date.now() - 60_000);
    const runIds = ['billing-run-00004', 'shipping-run-00004'];
    await overRpc('operator', 'BulkCancel', { runIds });
    await newRows(2, since);
    const seenBy = async (name: Name) => (await rowsOf(name, since)).findLast(isOf)?.detail;
    expect(await seenBy('chief')).toEqual({ runs: ['billing-run-00004'], failed: 0 });
    expect(await seenBy('ben')).toEqual({ runs: ['shipping-run-00004'], failed: 0 });
  });

  it.each([
    ['ann', 'bulk-retry', { runIds: ['billing-run-00002'] }, ['team-a']],
    ['operator', 'billing~billing-run-00003/retry', {}, ['team-a']],
    ['operator', 'bulk-retry', { runIds: ['billing-run-00002', 'nobody', 'shipping~gone'] }, ['team-a', '*', 'team-b']],
  ] as const)('tells the same of a command of %s to %s that was answered again', async (by, path, body, tenants) => {
    const since = new Date(Date.now() - 60_000);
    const options = { headers: { 'Idempotency-Key': `audited-once-${tenants.length}` }, body };
    await clients[by].must('POST', `/gateway/runs/${path}`, options);
    const first = await newRows(tenants.length, since);
    expect(first.map(({ tenantId }) => tenantId)).toEqual(tenants);
    await clients[by].must('POST', `/gateway/runs/${path}`, options);
    const again = await newRows(tenants.length, since);
    expect(again.map(told)).toEqual(first.map((row) => told({ ...row, detail: { ...row.detail, replayed: true } })));
  });

  it('tells of a command whose outcome is not known that it failed, also when it is answered again', async () => {
    const since = new Date(Date.now() - 60_000);
    const options = { headers: { 'Idempotency-Key': 'audited-unknown' } };
    const row = ['team-a', 'run.retry', one('billing-run-00002'), 'failure', 'gateway.outcome_unknown'];
    const retries = subsystems[0]?.count('RetryRun') ?? 0;
    subsystems[0]?.loseAnswer('RetryRun');
    await clients.operator.call('POST', '/gateway/runs/billing-run-00002/retry', options);
    expect((await newRows(1, since)).map(told)).toEqual([[...row, {}]]);
    await clients.operator.call('POST', '/gateway/runs/billing-run-00002/retry', options);
    expect((await newRows(1, since)).map(told)).toEqual([[...row, { replayed: true }]]);
    expect(subsystems[0]?.count('RetryRun')).toBe(retries + 1);
  });

  it('names the run of a command whose key is none, over REST as over RPC', async () => {
    const since = new Date(Date.now() - 60_000);
    const headers = { 'Idempotency-Key': 'a b' };
    const row = ['*', 'run.retry', one('billing-run-00003'), 'failure', 'request.invalid', {}];
    await clients.operator.call('POST', '/gateway/runs/billing-run-00003/retry', { headers });
    expect((await newRows(1, since)).map(told)).toEqual([row]);
    await overRpc('operator', 'RetryRun', { runId: 'billing-run-00003' }, headers);
    expect((await newRows(1, since)).map(told)).toEqual([row]);
  });
});
