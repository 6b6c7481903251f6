import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
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

type Role = 'viewer' | 'operator' | 'admin';
const RANK: Record<Role, number> = { viewer: 0, operator: 1, admin: 2 };

interface Ids {
  namespace: string;
  cluster: string;
  workflow: string;
  resource: string;
  run: string;
}

interface Expectation {
  readonly role: Role | 'public';
  /** Of the stored object that the route names, if it names one. */
  readonly path?: (ids: Ids) => string;
  readonly body?: (ids: Ids) => unknown;
}

const definition = (ids: Ids) => ({
  name: 'made',
  clusterId: ids.cluster,
  namespace: ids.namespace,
  nodes: [{ id: 'settings', manifest: configMap('settings') }],
});
const access = { token: { server: 'https://127.0.0.1:1', token: 'not-a-real-token' } };

/** What every route asks. A route that is not here fails the test, so that none is added without a thought. */
const ROUTES: Record<string, Expectation> = {
  'GET /health/live': { role: 'public' },
  'GET /health/ready': { role: 'public' },
  'GET /health/startup': { role: 'public' },
  'GET /metrics': { role: 'viewer' },
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
  'GET /api/v1/streams/workflows/{id}': { role: 'viewer', path: (ids) => ids.workflow },
  'GET /api/v1/streams/resources/{id}': { role: 'viewer', path: (ids) => ids.resource },
  'GET /api/v1/streams/clusters': { role: 'viewer' },
  'GET /api/v1/streams/clusters/{id}': { role: 'viewer', path: (ids) => ids.cluster },
  'GET /api/v1/streams/stats': { role: 'viewer' },
};

describeRealCluster('access', (cluster) => {
  let service: Service;
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
    const made: Ids = { namespace: '', cluster: '', workflow: '', resource: '', run: '' };
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

  afterAll(() => service.dispose());

  async function call(client: ApiClient, route: string): Promise<number> {
    const [method = '', template = ''] = route.split(' ');
    const expectation = ROUTES[route];
    const path = template
      .replace('/api/v1', '')
      .replace('{id}', expectation?.path?.(ids) ?? '')
      .replace('{runId}', ids.run);
    const query = path.startsWith('/streams') && !path.endsWith('stats') ? '?duration=10ms' : '';
    const body = expectation?.body?.(ids);
    const answer = await client.call(method, `${path}${query}`, body === undefined ? {} : { body });
    return answer.status;
  }

  it('knows every documented route', () => {
    expect(documented.toSorted()).toEqual(Object.keys(ROUTES).toSorted());
  });

  it('lets nobody and no wrong key anywhere but to the probes', async () => {
    for (const [route, { role }] of Object.entries(ROUTES)) {
      const expected = role === 'public' ? 200 : 401;
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
    for (const [route, { path }] of Object.entries(ROUTES)) {
      if (path) expect([route, await call(clients.stranger, route)]).toEqual([route, 404]);
    }
    for (const list of ['/clusters', '/workflows', '/resources', '/watchers']) {
      const { body } = await clients.stranger.call<{ items: unknown[] }>('GET', list);
      expect([list, body.items]).toEqual([list, []]);
    }
    const streams = await clients.stranger.call<string>('GET', '/streams/clusters?duration=50ms');
    expect(streams.body).not.toContain(ids.cluster);
    const foreign = await clients.stranger.call('POST', '/workflows', { body: definition(ids) });
    expect(foreign).toMatchObject({ status: 422, body: { errors: [{ path: 'clusterId' }] } });
  });

  it('lets a tenant use a route that reads with the least role, and the keeper of all tenants see everything', async () => {
    for (const [route, { role }] of Object.entries(ROUTES)) {
      if (role !== 'viewer') continue;
      expect([route, await call(clients.viewer, route)]).toEqual([route, 200]);
      expect([route, await call(clients.everywhere, route)]).toEqual([route, 200]);
    }
  });

  it('takes no tenant from the body of somebody who belongs to one', async () => {
    const body = { name: 'smuggled', tenantId: 'team-a', ...access };
    const { status } = await clients.stranger.call('POST', '/clusters', { body });
    expect([403, 404, 422]).toContain(status);
    const { body: seen } = await clients.everywhere.call<{ items: Array<{ name: string }> }>('GET', '/clusters');
    expect(seen.items.map(({ name }) => name)).not.toContain('smuggled');
  });
});
