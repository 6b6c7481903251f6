import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { Service } from './support/service.js';

interface Row {
  readonly id: string;
  readonly tenantId: string;
  readonly actor: { readonly kind: string; readonly id: string };
  readonly action: string;
  readonly target: { readonly type: string; readonly id: string } | null;
  readonly outcome: string;
  readonly reason: string | null;
  readonly status: number | null;
  readonly requestId: string | null;
  readonly detail: Readonly<Record<string, unknown>>;
  readonly segment: number | null;
}
interface Rows {
  readonly items: Row[];
  readonly nextCursor: string | null;
}
interface Verdict {
  readonly status: string;
  readonly segments: number;
  readonly rows: number;
  readonly unsealedRows: number;
}

const secretOf = (name: string): string => `${name}-0123456789abcdef`;
const KEYS = { root: 'admin', ada: 'admin@team-a', otto: 'operator@team-a', eve: 'admin@team-b' };

describe('the audit log', () => {
  let service: Service;
  let dataDir: string;
  let root: ApiClient;
  let ada: ApiClient;
  let otto: ApiClient;
  let eve: ApiClient;

  const start = async (): Promise<void> => {
    const keys = Object.entries(KEYS).map(([name, role]) => `${name}:${role}:${secretOf(name)}`);
    const environment = { CROWSNEST_API_KEYS: keys.join(','), CROWSNEST_AUDIT_SEALING_PERIOD: '200ms' };
    service = await Service.start({ dataDir, environment });
    [root, ada, otto, eve] = ['root', 'ada', 'otto', 'eve'].map(
      (name) => new ApiClient(service.url, secretOf(name)),
    ) as [ApiClient, ApiClient, ApiClient, ApiClient];
  };
  const list = (client: ApiClient, query = ''): Promise<Rows> => client.must<Rows>('GET', `/audit-logs?${query}`);
  const sealed = (): Promise<Verdict> =>
    eventually(
      () => root.must<Verdict>('GET', '/audit-logs/verify'),
      ({ unsealedRows, rows }) => rows > 0 && unsealedRows === 0,
    );

  beforeAll(async () => {
    dataDir = await mkdtemp(join(tmpdir(), 'crowsnest-audit-'));
    await start();
  });
  afterAll(async () => {
    await service.dispose();
    await rm(dataDir, { recursive: true, force: true });
  });

  it('holds who did what to what, and how it ended, as soon as what needs an admin is answered', async () => {
    const tenant = await root.must<{ id: string }>('POST', '/tenants', { body: { name: 'team-a', plan: 'team' } });
    const { items } = await list(root, 'action=tenant.create');
    expect(items).toMatchObject([
      {
        tenantId: '*',
        actor: { kind: 'user', id: 'root' },
        target: { type: 'tenant', id: tenant.id },
        outcome: 'success',
        status: 201,
        method: 'POST',
        route: '/api/v1/tenants',
        detail: { name: 'team-a' },
      },
    ]);
    expect(items[0]?.requestId).toMatch(/.+/);
  });

  it('holds what was refused: for the role, and for the input', async () => {
    expect((await otto.call('POST', '/tenants', { body: { name: 'mine' } })).status).toBe(403);
    expect((await otto.call('POST', '/jobs', { body: { type: 7 } })).status).toBe(422);
    const { items } = await eventually(
      () => list(ada, 'actor=otto&outcome=failure'),
      (page) => page.items.length === 2,
    );
    expect(items.map(({ action, status, reason }) => [action, status, reason])).toEqual([
      ['job.create', 422, 'request.invalid'],
      ['tenant.create', 403, 'auth.forbidden'],
    ]);
  });

  it('has tickets issued, and never their secret or a key', async () => {
    const { ticket } = await otto.must<{ ticket: string }>('POST', '/streams/tickets', {
      body: { keys: ['clusters'] },
    });
    const { items } = await list(ada, 'action=stream.ticket.create');
    expect(items).toHaveLength(1);
    const everything = JSON.stringify(await list(root, 'limit=200'));
    expect(everything).not.toContain(ticket);
    for (const name of Object.keys(KEYS)) expect(everything).not.toContain(secretOf(name));
  });

  it('shows a tenant what an admin of all tenants has removed of it, and sends nothing of that', async () => {
    const body = { name: 'ci', role: 'viewer', tenantId: 'team-a' };
    const key = await root.must<{ id: string }>('POST', '/api-keys', { body });
    expect(await root.call('DELETE', `/api-keys/${key.id}`)).toMatchObject({ status: 204, body: '' });
    const { items } = await list(ada, 'action=api-key.delete');
    expect(items).toMatchObject([
      { tenantId: 'team-a', actor: { id: 'root' }, target: { type: 'api-key', id: key.id }, detail: { name: 'ci' } },
    ]);
  });

  it('tells of a job that it was enqueued, and of a request that repeats nothing but that', async () => {
    const options = { body: { type: 'scan' }, headers: { 'Idempotency-Key': 'once' } };
    const job = await otto.must<{ id: string }>('POST', '/jobs', options);
    await otto.must('POST', '/jobs', options);
    const { items } = await eventually(
      () => list(ada, 'action=job.create&outcome=success'),
      (page) => page.items.length === 2,
    );
    expect(items.map(({ target, detail }) => [target?.id, detail['replayed'] ?? false])).toEqual([
      [job.id, true],
      [job.id, false],
    ]);
  });

  it('shows a tenant its own rows, page by page, by filter and time, and nobody below admin any', async () => {
    const all = await list(ada, 'limit=200');
    expect(all.items.length).toBeGreaterThan(3);
    expect(new Set(all.items.map(({ tenantId }) => tenantId))).toEqual(new Set(['team-a']));
    const first = await list(ada, 'limit=2');
    const second = await list(ada, `limit=2&cursor=${first.nextCursor}`);
    expect([...first.items, ...second.items].map(({ id }) => id)).toEqual(all.items.slice(0, 4).map(({ id }) => id));
    expect((await list(ada, 'until=2020-01-01T00:00:00Z')).items).toEqual([]);
    expect((await list(ada, 'since=2020-01-01T00:00:00Z&limit=200')).items).toEqual(all.items);
    expect((await list(eve)).items).toEqual([]);
    expect((await otto.call('GET', '/audit-logs')).status).toBe(403);
    const untargeted = await ada.call('GET', '/audit-logs?targetType=job');
    expect(untargeted).toMatchObject({ status: 422, body: { errors: [{ path: 'target' }] } });
    expect(await ada.call('GET', '/audit-logs?actr=x')).toMatchObject({ status: 422, body: { errors: [{}] } });
  });

  it('is verified by the keeper of all tenants', async () => {
    expect(await sealed()).toMatchObject({ status: 'intact' });
    expect((await list(root)).items.every(({ segment }) => segment !== null)).toBe(true);
    expect((await ada.call('GET', '/audit-logs/verify')).status).toBe(403);
    expect((await root.call('GET', '/audit-logs/verify?from=0')).status).toBe(422);
  });

  it('has what people do to controllers, and no row for sealing itself', async () => {
    await root.must('POST', '/controllers/audit-sealing/reconcile');
    await root.must('POST', '/controllers/audit-retention/pause');
    const { items } = await list(root, 'action=controller.pause');
    expect(items).toMatchObject([{ target: { type: 'controller', id: 'audit-retention' }, actor: { id: 'root' } }]);
    expect((await list(root, 'actor=audit-sealing')).items).toEqual([]);
  });

  it('is all there after a stop, and nothing of it is lost', async () => {
    const before = await otto.must<{ id: string }>('POST', '/jobs', { body: { type: 'last' } });
    expect(await service.end('SIGTERM')).toBe(0);
    await start();
    const { items } = await list(ada, `target=${before.id}`);
    expect(items).toMatchObject([{ action: 'job.create' }]);
    expect(await sealed()).toMatchObject({ status: 'intact' });
  });
});
