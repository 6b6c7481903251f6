import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { FlowWatchSubsystem } from './support/flowwatch-subsystem.js';
import { configMap } from './support/manifests.js';
import { describeRealCluster } from './support/real-cluster.js';
import { Service } from './support/service.js';

const secretOf = (name: string): string => `${name}-0123456789abcdef`;

const PRINCIPALS = {
  viewer: 'viewer@team-a',
  operator: 'operator@team-a',
  admin: 'admin@team-a',
  everywhere: 'admin',
  stranger: 'admin@team-b',
} as const;
type PrincipalName = keyof typeof PRINCIPALS;

/** `agent`: no user may, whatever the role. */
type Role = 'viewer' | 'operator' | 'admin' | 'agent';
const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2, agent: 3 };

interface Ids {
  namespace: string;
  cluster: string;
  workflow: string;
  resource: string;
  run: string;
  /** Made anew for each call, by the viewer. */
  ticket: string;
  apiKey: string;
  bootstrapToken: string;
  agent: string;
  tenant: string;
  job: string;
  subsystem: string;
}

interface Expectation {
  readonly role: Role | 'public';
  /** Of the stored object that the route names, if it names one. */
  readonly path?: (ids: Ids) => string;
  /** Names stored objects that are of one tenant, as `path` does. */
  readonly query?: (ids: Ids) => string;
  readonly body?: (ids: Ids) => unknown;
  /** Of the query, if it has to have some. */
  readonly parameters?: string;
  /** Only for callers of all tenants. */
  readonly ofAllTenants?: boolean;
  /** Of a call that is allowed; 200 if absent. */
  readonly status?: number;
  /** Whether its body names stored objects that are of one tenant. */
  readonly bodyIsOwned?: boolean;
}

const definition = (ids: Ids) => ({
  name: 'made',
  clusterId: ids.cluster,
  namespace: ids.namespace,
  nodes: [{ id: 'settings', manifest: configMap('settings') }],
});
const access = { token: { server: 'https://127.0.0.1:1', token: 'not-a-real-token' } };

/** Of the subsystem that stands behind the gateway. */
const RUN = 'billing-run-00001';

/** What every route asks. A route that is not here fails the test, so that none is added without a thought. */
const ROUTES: Record<string, Expectation> = {
  'GET /health/live': { role: 'public' },
  'GET /health/ready': { role: 'public' },
  'GET /health/startup': { role: 'public' },
  'GET /metrics': { role: 'viewer', ofAllTenants: true },
  'GET /api/v1/version': { role: 'viewer' },
  'POST /api/v1/clusters': { role: 'admin', body: () => ({ name: 'other', ...access }) },
  'GET /api/v1/clusters': { role: 'viewer' },
  'GET /api/v1/clusters/{id}': { role: 'viewer', path: (ids) => ids.cluster },
  'PATCH /api/v1/clusters/{id}': {
    role: 'operator',
    path: (ids) => ids.cluster,
    body: () => ({ version: 1, labels: { team: 'a' } }),
  },
  'DELETE /api/v1/clusters/{id}': { role: 'admin', path: (ids) => ids.cluster },
  'POST /api/v1/clusters/{id}/check': { role: 'operator', path: (ids) => ids.cluster },
  'PUT /api/v1/clusters/{id}/credentials': {
    role: 'admin',
    path: (ids) => ids.cluster,
    body: () => ({ version: 99, token: { token: 'another-token' } }),
  },
  'GET /api/v1/clusters/{id}/health': { role: 'viewer', path: (ids) => ids.cluster },
  'POST /api/v1/workflows': { role: 'operator', body: definition },
  'GET /api/v1/workflows': { role: 'viewer' },
  'GET /api/v1/workflows/{id}': { role: 'viewer', path: (ids) => ids.workflow },
  'PUT /api/v1/workflows/{id}': {
    role: 'operator',
    path: (ids) => ids.workflow,
    body: (ids) => ({ ...definition(ids), version: 99 }),
  },
  'DELETE /api/v1/workflows/{id}': { role: 'operator', path: (ids) => ids.workflow },
  'POST /api/v1/workflows/{id}/validate': { role: 'operator', path: (ids) => ids.workflow },
  'POST /api/v1/workflows/{id}/execute': { role: 'operator', path: (ids) => ids.workflow },
  'GET /api/v1/workflows/{id}/runs': { role: 'viewer', path: (ids) => ids.workflow },
  'GET /api/v1/workflows/{id}/runs/{runId}': { role: 'viewer', path: (ids) => ids.workflow },
  'POST /api/v1/workflows/{id}/runs/{runId}/cancel': { role: 'operator', path: (ids) => ids.workflow },
  'POST /api/v1/workflows/{id}/archive': {
    role: 'operator',
    path: (ids) => ids.workflow,
    body: () => ({ resources: 'keep' }),
  },
  'GET /api/v1/resources': { role: 'viewer' },
  'GET /api/v1/resources/{id}': { role: 'viewer', path: (ids) => ids.resource },
  'GET /api/v1/resources/{id}/history': { role: 'viewer', path: (ids) => ids.resource },
  'GET /api/v1/watchers': { role: 'viewer' },
  'POST /api/v1/api-keys': { role: 'admin', body: () => ({ name: 'made', role: 'viewer' }) },
  'GET /api/v1/api-keys': { role: 'admin' },
  'GET /api/v1/api-keys/{id}': { role: 'admin', path: (ids) => ids.apiKey },
  'DELETE /api/v1/api-keys/{id}': { role: 'admin', path: (ids) => ids.apiKey },
  'POST /api/v1/bootstrap-tokens': { role: 'admin', body: () => ({}) },
  'GET /api/v1/bootstrap-tokens': { role: 'admin' },
  'GET /api/v1/bootstrap-tokens/{id}': { role: 'admin', path: (ids) => ids.bootstrapToken },
  'DELETE /api/v1/bootstrap-tokens/{id}': { role: 'admin', path: (ids) => ids.bootstrapToken },
  'POST /api/v1/agents/register': { role: 'public', body: () => ({}), status: 422 },
  'POST /api/v1/agents/heartbeat': { role: 'agent' },
  'GET /api/v1/agents': { role: 'viewer' },
  'GET /api/v1/agents/{id}': { role: 'viewer', path: (ids) => ids.agent },
  'PATCH /api/v1/agents/{id}': { role: 'operator', path: (ids) => ids.agent, body: () => ({ version: 99 }) },
  'DELETE /api/v1/agents/{id}': { role: 'admin', path: (ids) => ids.agent },
  'POST /api/v1/agents/{id}/credentials': { role: 'admin', path: (ids) => ids.agent, body: () => ({}) },
  'POST /api/v1/tenants': { role: 'admin', body: () => ({ name: 'made' }) },
  'GET /api/v1/tenants': { role: 'viewer' },
  'GET /api/v1/tenants/{id}': { role: 'viewer', path: (ids) => ids.tenant },
  'PATCH /api/v1/tenants/{id}': { role: 'admin', body: () => ({ version: 99 }) },
  'DELETE /api/v1/tenants/{id}': { role: 'admin' },
  'POST /api/v1/jobs': { role: 'operator', body: () => ({ type: 'scan' }) },
  'GET /api/v1/jobs': { role: 'viewer' },
  'GET /api/v1/jobs/stats': { role: 'viewer' },
  'GET /api/v1/jobs/{id}': { role: 'viewer', path: (ids) => ids.job },
  'POST /api/v1/jobs/{id}/cancel': { role: 'operator', path: (ids) => ids.job },
  'POST /api/v1/jobs/{id}/retry': { role: 'operator', path: (ids) => ids.job },
  'GET /api/v1/controllers': { role: 'viewer' },
  'GET /api/v1/controllers/{name}': { role: 'viewer' },
  'POST /api/v1/controllers/{name}/reconcile': { role: 'operator' },
  'POST /api/v1/controllers/{name}/pause': { role: 'admin' },
  'POST /api/v1/controllers/{name}/resume': { role: 'admin' },
  'POST /api/v1/jobs/claim': { role: 'agent' },
  'POST /api/v1/jobs/{id}/start': { role: 'agent' },
  'POST /api/v1/jobs/{id}/progress': { role: 'agent' },
  'POST /api/v1/jobs/{id}/complete': { role: 'agent' },
  'POST /api/v1/jobs/{id}/fail': { role: 'agent' },
  'POST /api/v1/gateway/subsystems': {
    role: 'operator',
    body: () => ({ id: 'made', endpoint: 'http://127.0.0.1:1' }),
  },
  'GET /api/v1/gateway/subsystems': { role: 'viewer' },
  'GET /api/v1/gateway/subsystems/{id}': { role: 'viewer', path: (ids) => ids.subsystem },
  'DELETE /api/v1/gateway/subsystems/{id}': { role: 'operator', path: (ids) => ids.subsystem },
  'POST /api/v1/gateway/subsystems/{id}/mark-stale': { role: 'operator', path: (ids) => ids.subsystem },
  'GET /api/v1/gateway/capabilities': { role: 'viewer' },
  'GET /api/v1/gateway/workflows': { role: 'viewer' },
  'GET /api/v1/gateway/workflows/{id}': { role: 'viewer', path: () => 'billing-nightly' },
  'GET /api/v1/gateway/workflows/{id}/graph': { role: 'viewer', path: () => 'billing-nightly' },
  'GET /api/v1/gateway/traces/{id}': { role: 'viewer', path: () => 'trace-1' },
  'GET /api/v1/gateway/runs': { role: 'viewer' },
  'GET /api/v1/gateway/runs/{id}': { role: 'viewer', path: () => RUN },
  'GET /api/v1/gateway/runs/{id}/steps': { role: 'viewer', path: () => RUN },
  'GET /api/v1/gateway/runs/{id}/timeline': { role: 'viewer', path: () => RUN },
  'GET /api/v1/gateway/runs/{id}/logs': { role: 'viewer', path: () => RUN },
  'POST /api/v1/gateway/runs/{id}/retry': { role: 'operator', path: () => RUN },
  'POST /api/v1/gateway/runs/{id}/retry-from-step': {
    role: 'operator',
    path: () => RUN,
    body: () => ({ stepName: 'charge' }),
  },
  'POST /api/v1/gateway/runs/{id}/cancel': { role: 'operator', path: () => RUN },
  'POST /api/v1/gateway/runs/{id}/pause': { role: 'operator', path: () => RUN },
  'POST /api/v1/gateway/runs/{id}/resume': { role: 'operator', path: () => RUN },
  'POST /api/v1/gateway/runs/{id}/skip-step': {
    role: 'operator',
    path: () => RUN,
    body: () => ({ stepName: 'charge' }),
  },
  'POST /api/v1/gateway/runs/bulk-retry': { role: 'operator', body: () => ({ runIds: [RUN] }) },
  'POST /api/v1/gateway/runs/bulk-cancel': { role: 'operator', body: () => ({ runIds: [RUN] }) },
  'GET /api/v1/gateway/search': { role: 'viewer', parameters: 'query=order' },
  'GET /api/v1/gateway/search/suggest': { role: 'viewer', parameters: 'field=workflow' },
  'GET /api/v1/gateway/analytics/throughput': { role: 'viewer' },
  'GET /api/v1/gateway/analytics/latency': { role: 'viewer' },
  'GET /api/v1/gateway/analytics/failure-rate': { role: 'viewer' },
  'GET /api/v1/gateway/analytics/step-duration': { role: 'viewer' },
  'GET /api/v1/gateway/analytics/step-heatmap': { role: 'viewer' },
  'GET /api/v1/audit-logs': { role: 'admin' },
  'GET /api/v1/audit-logs/verify': { role: 'admin' },
  'GET /api/v1/diagnostics/events': { role: 'admin' },
  'GET /api/v1/diagnostics/subscriptions': { role: 'admin' },
  'GET /api/v1/streams': { role: 'viewer', query: (ids) => `key=clusters&key=workflow:${ids.workflow}` },
  'POST /api/v1/streams/tickets': {
    role: 'viewer',
    body: (ids) => ({ keys: ['clusters', `resource:${ids.resource}`] }),
    bodyIsOwned: true,
    status: 201,
  },
  'DELETE /api/v1/streams/tickets/{id}': { role: 'viewer', path: (ids) => ids.ticket, status: 204 },
  'GET /api/v1/streams/workflows/{id}': { role: 'viewer', path: (ids) => ids.workflow },
  'GET /api/v1/streams/resources/{id}': { role: 'viewer', path: (ids) => ids.resource },
  'GET /api/v1/streams/clusters': { role: 'viewer' },
  'GET /api/v1/streams/clusters/{id}': { role: 'viewer', path: (ids) => ids.cluster },
  'GET /api/v1/streams/stats': { role: 'viewer' },
  'GET /api/v1/gateway/streams/runs': { role: 'viewer' },
};

describeRealCluster('access', (cluster) => {
  let service: Service;
  let flowWatch: FlowWatchSubsystem;
  let clients: Record<PrincipalName | 'nobody' | 'wrong', ApiClient>;
  let ids: Ids;
  let documented: string[];

  beforeAll(async () => {
    const keys = Object.entries(PRINCIPALS).map(([name, role]) => `${name}:${role}:${secretOf(name)}`);
    service = await Service.start({ environment: { CROWSNEST_API_KEYS: keys.join(',') } });
    const client = (name: string): ApiClient => new ApiClient(service.url, secretOf(name));
    clients = {
      viewer: client('viewer'),
      operator: client('operator'),
      admin: client('admin'),
      everywhere: client('everywhere'),
      stranger: client('stranger'),
      wrong: client('unknown'),
      nobody: new ApiClient(service.url),
    };
    const { admin } = clients;
    const { paths } = await admin.must<{ paths: Record<string, Record<string, unknown>> }>('GET', '/api/openapi.json');
    documented = Object.entries(paths).flatMap(([path, methods]) =>
      Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
    );
    const made: Ids = {
      namespace: '',
      cluster: '',
      workflow: '',
      resource: '',
      run: '',
      ticket: '',
      apiKey: '',
      bootstrapToken: '',
      agent: '',
      tenant: '',
      job: '',
      subsystem: '',
    };
    const tenant = await clients.everywhere.must('POST', '/tenants', { body: { name: 'team-a' } });
    made.tenant = String(tenant['id']);
    made.job = String((await admin.must('POST', '/jobs', { body: { type: 'scan' } }))['id']);
    flowWatch = await new FlowWatchSubsystem({ id: 'billing' }).start();
    const subsystem = { id: 'billing', endpoint: flowWatch.endpoint };
    made.subsystem = String((await admin.must('POST', '/gateway/subsystems', { body: subsystem }))['id']);
    await eventually(
      () => admin.must('GET', '/gateway/subsystems/billing'),
      ({ state }) => state === 'connected',
    );
    const apiKey = await admin.must('POST', '/api-keys', { body: { name: 'first', role: 'viewer' } });
    made.apiKey = String(apiKey['id']);
    const bootstrapToken = await admin.must('POST', '/bootstrap-tokens', { body: {} });
    made.bootstrapToken = String(bootstrapToken['id']);
    const agent = { token: bootstrapToken['token'], name: 'first' };
    const joined = await admin.must<{ agent: { id: string } }>('POST', '/agents/register', { body: agent });
    made.agent = joined.agent.id;
    const { server, caData, token } = cluster();
    const registered = { name: 'first', token: { server, caData, token } };
    made.cluster = String((await admin.must('POST', '/clusters', { body: registered }))['id']);
    made.namespace = await cluster().createNamespace('access');
    made.workflow = String(
      (await admin.must('POST', '/workflows', { body: { ...definition(made), name: 'first' } }))['id'],
    );
    made.run = String((await admin.must('POST', `/workflows/${made.workflow}/execute`))['id']);
    await eventually(
      () => admin.must('GET', `/workflows/${made.workflow}/runs/${made.run}`),
      ({ state }) => state !== 'running',
      60_000,
    );
    const resources = await admin.must<{ items: Array<{ id: string }> }>('GET', '/resources');
    made.resource = resources.items[0]?.id ?? '';
    ids = made;
  }, 90_000);

  afterAll(async () => {
    await service.dispose();
    await flowWatch.stop();
  });

  async function call(client: ApiClient, route: string): Promise<number> {
    const [method = '', template = ''] = route.split(' ');
    if (template.includes('/tickets/')) {
      const { id } = await clients.viewer.must('POST', '/streams/tickets', { body: { keys: ['clusters'] } });
      ids.ticket = String(id);
    }
    const expectation = ROUTES[route];
    const path = template
      .replace('/api/v1', '')
      .replace('{id}', expectation?.path?.(ids) ?? ids.cluster)
      .replace('{runId}', ids.run)
      .replace('{name}', 'job-recovery');
    const isStream = method === 'GET' && /^\/(gateway\/)?streams/.test(path) && !path.endsWith('stats');
    const { parameters = '' } = expectation ?? {};
    const query = [expectation?.query?.(ids) ?? '', parameters, isStream ? 'duration=10ms' : '']
      .filter(Boolean)
      .join('&');
    const body = expectation?.body?.(ids);
    const answer = await client.call(method, `${path}?${query}`, body === undefined ? {} : { body });
    return answer.status;
  }

  it('knows every documented route', () => {
    expect(documented.toSorted()).toEqual(Object.keys(ROUTES).toSorted());
  });

  it('lets nobody and no wrong key anywhere but to the probes', async () => {
    for (const [route, { role, status = 200 }] of Object.entries(ROUTES)) {
      const expected = role === 'public' ? status : 401;
      expect([route, await call(clients.nobody, route)]).toEqual([route, expected]);
      expect([route, await call(clients.wrong, route)]).toEqual([route, expected]);
    }
  });

  it('refuses each role what needs a higher one', async () => {
    for (const [route, { role }] of Object.entries(ROUTES)) {
      if (role === 'public') continue;
      for (const caller of ['viewer', 'operator'] as const) {
        if (RANK[caller] < RANK[role])
          expect([route, caller, await call(clients[caller], route)]).toEqual([route, caller, 403]);
      }
    }
  });

  it('shows another tenant nothing: what is not its own is not there', async () => {
    for (const [route, { path, query, bodyIsOwned }] of Object.entries(ROUTES)) {
      if (path ?? query ?? bodyIsOwned) expect([route, await call(clients.stranger, route)]).toEqual([route, 404]);
    }
    for (const list of [
      '/clusters',
      '/workflows',
      '/resources',
      '/watchers',
      '/jobs',
      '/tenants',
      '/agents',
      '/api-keys',
      '/bootstrap-tokens',
      '/gateway/subsystems',
      '/gateway/workflows',
      '/gateway/runs',
    ]) {
      const { body } = await clients.stranger.call<{ items: unknown[] }>('GET', list);
      expect([list, body.items]).toEqual([list, []]);
    }
    const streams = await clients.stranger.call<string>('GET', '/streams/clusters?duration=50ms');
    expect(streams.body).not.toContain(ids.cluster);
    const foreign = await clients.stranger.call('POST', '/workflows', { body: definition(ids) });
    expect(foreign).toMatchObject({ status: 422, body: { errors: [{ path: 'clusterId' }] } });
  });

  it('lets a tenant use a route that reads with the least role, and the keeper of all tenants see everything', async () => {
    for (const [route, { role, ofAllTenants, status = 200 }] of Object.entries(ROUTES)) {
      if (role !== 'viewer') continue;
      expect([route, await call(clients.viewer, route)]).toEqual([route, ofAllTenants ? 403 : status]);
      expect([route, await call(clients.everywhere, route)]).toEqual([route, status]);
    }
  });

  it('opens each stream key to its tenant only, for a stream as for a ticket', async () => {
    const owned = [
      `workflow:${ids.workflow}`,
      `resource:${ids.resource}`,
      `cluster:${ids.cluster}`,
      `run:${ids.run}`,
      `subsystem:${ids.subsystem}`,
    ];
    const unknown = owned.map((key) => key.replace(/.{4}$/, '0000'));
    const expected = (key: string, caller: keyof typeof clients): number => {
      if (caller === 'nobody' || caller === 'wrong') return 401;
      if (unknown.includes(key)) return 404;
      return caller === 'stranger' && key !== 'clusters' ? 404 : 200;
    };
    for (const key of ['clusters', ...owned, ...unknown]) {
      for (const caller of Object.keys(clients) as Array<keyof typeof clients>) {
        const wanted = expected(key, caller);
        const stream = await clients[caller].call('GET', `/streams?key=clusters&key=${key}&duration=10ms`);
        expect([key, caller, stream.status]).toEqual([key, caller, wanted]);
        const ticket = await clients[caller].call('POST', '/streams/tickets', { body: { keys: ['clusters', key] } });
        expect([key, caller, ticket.status]).toEqual([key, caller, wanted === 200 ? 201 : wanted]);
      }
    }
  });

  it('lets a ticket read its keys with the rights of its tenant, and nothing else', async () => {
    const { nobody, stranger, viewer } = clients;
    const issue = async (client: ApiClient, keys: string[]): Promise<string> =>
      String((await client.must('POST', '/streams/tickets', { body: { keys } }))['ticket']);
    const key = `workflow:${ids.workflow}`;
    const foreign = await issue(stranger, ['clusters']);
    const clusters = await nobody.call<string>('GET', `/streams?ticket=${foreign}&duration=50ms`);
    expect(clusters.status).toBe(200);
    expect(clusters.body).not.toContain(ids.cluster);
    for (const path of [
      `/streams?key=${key}&`,
      `/streams/workflows/${ids.workflow}?`,
      '/streams?key=clusters&key=' + key + '&',
    ]) {
      const { status } = await nobody.call('GET', `${path}ticket=${await issue(stranger, ['clusters'])}&duration=10ms`);
      expect([path, status]).toEqual([path, 404]);
    }
    // Only streams take tickets: every other route asks for a key.
    const ticket = await issue(viewer, [key]);
    for (const [route, { role }] of Object.entries(ROUTES)) {
      if (role === 'public' || /^GET .*\/streams(?!\/stats)/.test(route)) continue;
      const [method = '', template = ''] = route.split(' ');
      const path = template.replace('/api/v1', '').replaceAll(/\{\w+\}/g, ids.workflow);
      expect([route, (await nobody.call(method, `${path}?ticket=${ticket}`)).status]).toEqual([route, 401]);
    }
    const { status, body } = await nobody.call<string>('GET', `/streams?ticket=${ticket}&duration=50ms`);
    expect([status, body.includes(key)]).toEqual([200, true]);
  });

  it('takes no tenant from the body of somebody who belongs to one', async () => {
    const body = { name: 'smuggled', tenantId: 'team-a', ...access };
    const { status } = await clients.stranger.call('POST', '/clusters', { body });
    expect([403, 404, 422]).toContain(status);
    const { body: seen } = await clients.everywhere.call<{ items: Array<{ name: string }> }>('GET', '/clusters');
    expect(seen.items.map(({ name }) => name)).not.toContain('smuggled');
  });
});
