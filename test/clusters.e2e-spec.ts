import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { CertificateAuthority } from './control-plane/certificate-authority.js';
import { ApiClient, eventually } from './support/api-client.js';
import { describeRealCluster } from './support/real-cluster.js';
import { Service } from './support/service.js';
import { StreamClient } from './support/stream-client.js';

interface Cluster {
  readonly id: string;
  readonly name: string;
  readonly reachable: boolean | null;
  readonly latencyMs: number | null;
  readonly uid: string | null;
  readonly reason: { readonly code: string; readonly message: string } | null;
  readonly credentialType: string;
  readonly version: number;
  readonly metadata: {
    readonly version: string | null;
    readonly nodes: { readonly total: number } | null;
    readonly capacity: object | null;
    readonly namespaces: { readonly names: readonly string[] } | null;
    readonly unavailable: Readonly<Record<string, { readonly code: string; readonly message: string }>>;
  };
}

/** kubeconfigs that would run a program, read a file, take a detour, act for others, or are no kubeconfig. */
function hostileKubeconfigs(): Record<string, { readonly text: string; readonly path: string }> {
  const config = (cluster: string, user: string, top = ''): string =>
    `apiVersion: v1\nkind: Config\ncurrent-context: c\n${top}clusters: [{name: c, cluster: {${cluster}}}]\n` +
    `contexts: [{name: c, context: {cluster: c, user: u}}]\nusers: [{name: u, user: {${user}}}]\n`;
  const server = 'server: "https://127.0.0.1:6443"';
  const user = 'users[0].user';
  const cluster = 'clusters[0].cluster';
  return {
    exec: { text: config(server, 'exec: {apiVersion: v1, command: touch}'), path: `${user}.exec` },
    'auth-provider': { text: config(server, 'auth-provider: {name: gcp}'), path: `${user}.auth-provider` },
    'token file': { text: config(server, 'tokenFile: /etc/passwd'), path: `${user}.tokenFile` },
    'certificate file': {
      text: config(server, 'client-certificate: /a, client-key: /b'),
      path: `${user}.client-certificate`,
    },
    'CA file': {
      text: config(`${server}, certificate-authority: /a`, 'token: t'),
      path: `${cluster}.certificate-authority`,
    },
    proxy: { text: config(`${server}, proxy-url: "socks5://127.0.0.1:1"`, 'token: t'), path: `${cluster}.proxy-url` },
    'no verification': {
      text: config(`${server}, insecure-skip-tls-verify: true`, 'token: t'),
      path: `${cluster}.insecure-skip-tls-verify`,
    },
    'plain http': { text: config('server: "http://127.0.0.1:6443"', 'token: t'), path: `${cluster}.server` },
    impersonation: { text: config(server, 'token: t, as: root'), path: `${user}.as` },
    password: { text: config(server, 'username: u, password: p'), path: `${user}.username` },
    'no YAML': { text: '{[', path: '' },
    'two documents': { text: `${config(server, 'token: t')}---\n${config(server, 'token: t')}`, path: '' },
  };
}

describeRealCluster('clusters', (cluster) => {
  let service: Service;
  let api: ApiClient;
  let silentServer: Server;
  const silentSockets = new Set<Socket>();
  const directory = mkdtempSync(join(tmpdir(), 'crowsnest-clusters-'));

  beforeAll(async () => {
    service = await Service.start({ environment: { CROWSNEST_CLUSTER_HEALTH_PERIOD: '1s' } });
    api = new ApiClient(service.url);
    silentServer = createServer((socket) => silentSockets.add(socket.on('error', () => undefined)));
    await once(silentServer.listen(0, '127.0.0.1'), 'listening');
  });
  afterAll(async () => {
    expect(api.transcript.join('\n')).not.toContain(cluster().token);
    for (const socket of silentSockets) socket.destroy();
    silentServer.close();
    await service.dispose();
    rmSync(directory, { recursive: true, force: true });
  });
  afterEach(async () => {
    for (const { id } of await list()) await api.must('DELETE', `/clusters/${id}`);
  });

  const list = async (): Promise<readonly Cluster[]> =>
    (await api.must<{ items: readonly Cluster[] }>('GET', '/clusters')).items;
  const register = (body: object) => api.must<Cluster>('POST', '/clusters', { body });
  const token = (change: object = {}) => ({
    token: { server: cluster().server, caData: cluster().caData, token: cluster().token, ...change },
  });

  describe('registration', () => {
    it('takes a kubeconfig in JSON, and answers with the check and the metadata', async () => {
      const registered = await register({ name: 'real', kubeconfig: { text: cluster().kubeconfig() } });
      expect(registered).toMatchObject({
        reachable: true,
        latencyMs: expect.any(Number),
        reason: null,
        credentialType: 'client-certificate',
        uid: expect.stringMatching(/^[0-9a-f-]{36}$/),
        metadata: { version: expect.stringMatching(/^v1\./), unavailable: {} },
      });
      expect(registered.metadata.namespaces?.names).toContain('kube-system');
      expect(registered.metadata.nodes?.total).toBeGreaterThan(0);
    });

    it('takes the kubeconfig itself as YAML, and creates once for an Idempotency-Key', async () => {
      const body = cluster().kubeconfig();
      const send = () =>
        api.call<Cluster>('POST', '/clusters?name=yaml&namespaces=default,kube-system', {
          contentType: 'application/yaml',
          body,
          headers: { 'idempotency-key': 'yaml-1' },
        });
      const [first, second] = [await send(), await send()];
      expect([first.status, second.status]).toEqual([201, 201]);
      expect(first.body).toMatchObject({ name: 'yaml', namespaces: ['default', 'kube-system'], reachable: true });
      expect(second.body.id).toBe(first.body.id);
      expect(first.headers.get('location')).toBe(`/api/v1/clusters/${first.body.id}`);
    });

    it('takes a token, and a client certificate', async () => {
      const { id, ...byToken } = await register({ name: 'by-token', ...token() });
      expect(byToken).toMatchObject({ reachable: true, credentialType: 'token' });
      await api.must('DELETE', `/clusters/${id}`);
      const { certificate, key } = cluster().authority.issue({
        commonName: 'admin',
        organizations: ['system:masters'],
        usage: 'clientAuth',
      });
      const endpoint = { server: cluster().server, caData: cluster().caCertificate };
      const clientCertificate = { ...endpoint, certificateData: certificate, keyData: key };
      expect(await register({ name: 'by-certificate', clientCertificate })).toMatchObject({ reachable: true });
    });

    it('takes no in-cluster account outside of a cluster', async () => {
      const refused = await api.call('POST', '/clusters', { body: { name: 'own', inCluster: true } });
      expect(refused).toMatchObject({ status: 422, body: { errors: [{ path: 'inCluster' }] } });
    });

    it('refuses the same cluster a second time, naming the first, by endpoint and by identity', async () => {
      const first = await register({ name: 'first', ...token() });
      const naming = {
        status: 409,
        body: { code: 'cluster.already_registered', clusterId: first.id, clusterName: 'first' },
      };
      expect(await api.call('POST', '/clusters', { body: { name: 'second', ...token() } })).toMatchObject(naming);
      const alias = token({ server: cluster().server.replace('127.0.0.1', 'localhost') });
      expect(await api.call('POST', '/clusters', { body: { name: 'third', ...alias } })).toMatchObject(naming);
      expect(await list()).toHaveLength(1);
    });

    it('tells a user with few rights what is missing, and counts the cluster as reachable', async () => {
      const limited = { server: cluster().server, caData: cluster().caData, token: cluster().facts.tokens.bob };
      const registered = await register({ name: 'limited', namespaces: ['default'], token: limited });
      expect(registered).toMatchObject({
        reachable: true,
        uid: null,
        metadata: { nodes: null, capacity: null, namespaces: null, unavailable: { nodes: { code: 'forbidden' } } },
      });
      expect(registered.metadata.unavailable['nodes']?.message).toContain('cannot list');
    });
  });

  describe('a cluster that cannot be used is stored, with the reason', () => {
    const reasonOf = async (change: object): Promise<string | undefined> => {
      const registered = await register({ name: 'broken', ...token(change) });
      expect(registered).toMatchObject({ reachable: false, latencyMs: null });
      expect(await list()).toHaveLength(1);
      return registered.reason?.code;
    };

    it('unauthorized', async () => expect(await reasonOf({ token: 'wrong' })).toBe('unauthorized'));
    it('tls', async () => {
      const other = new CertificateAuthority(directory).certificate;
      expect(await reasonOf({ caData: other })).toBe('tls');
    });
    it('refused', async () => expect(await reasonOf({ server: 'https://127.0.0.1:1' })).toBe('refused'));
    it('dns', async () => expect(await reasonOf({ server: 'https://no-such-host.invalid' })).toBe('dns'));
    it('timeout, within ten seconds', async () => {
      const began = performance.now();
      const { port } = silentServer.address() as AddressInfo;
      expect(await reasonOf({ server: `https://127.0.0.1:${port}` })).toBe('timeout');
      expect(performance.now() - began).toBeLessThan(10_500);
    }, 20_000);
  });

  describe('bad input is refused, and changes nothing', () => {
    for (const [what, { text, path }] of Object.entries(hostileKubeconfigs())) {
      it(`a kubeconfig with ${what}`, async () => {
        const refused = await api.call<{ errors: Array<{ path: string }> }>('POST', '/clusters', {
          body: { name: 'hostile', kubeconfig: { text } },
        });
        expect(refused.status).toBe(422);
        expect(refused.body.errors.map((error) => error.path)).toContain(path);
        expect(await list()).toHaveLength(0);
      });
    }

    it('an address that is never allowed', async () => {
      const body = { name: 'metadata', ...token({ server: 'https://169.254.169.254' }) };
      expect(await api.call('POST', '/clusters', { body })).toMatchObject({
        status: 422,
        body: { code: 'egress.refused' },
      });
      expect(await list()).toHaveLength(0);
    });

    it('two credentials, none, unknown fields, names that are none', async () => {
      const wrong = [
        [{ name: 'a' }, 'kubeconfig'],
        [{ name: 'a', inCluster: true, ...token() }, 'token'],
        [{ name: 'a', unknown: 1, ...token() }, 'unknown'],
        [{ name: 'A b', ...token() }, 'name'],
        [{ name: 'a', namespaces: ['x', 'x'], ...token() }, 'namespaces'],
      ] as const;
      for (const [body, path] of wrong) {
        const { status, body: problem } = await api.call<{ errors: unknown[] }>('POST', '/clusters', { body });
        expect({ status, errors: problem.errors }).toMatchObject({
          status: 422,
          errors: expect.arrayContaining([expect.objectContaining({ path })]),
        });
      }
      const unnamed = { contentType: 'application/yaml', body: cluster().kubeconfig() };
      expect(await api.call('POST', '/clusters', unnamed)).toMatchObject({
        status: 422,
        body: { errors: [{ path: 'name' }] },
      });
      expect(await api.call('GET', '/clusters/nope')).toMatchObject({ status: 404 });
    });
  });

  it('rotates the credential, asks for it again with another endpoint, and takes PATCHes with the version', async () => {
    const { id } = await register({ name: 'rotated', ...token({ token: 'wrong' }) });
    const rotated = await api.must<Cluster>('PUT', `/clusters/${id}/credentials`, {
      body: { version: 1, token: { token: cluster().token } },
    });
    expect(rotated).toMatchObject({ reachable: true, version: 2, reason: null });
    const moved = await api.call('PATCH', `/clusters/${id}`, { body: { version: 2, server: 'https://127.0.0.1:1' } });
    expect(moved).toMatchObject({
      status: 422,
      body: { code: 'cluster.credential_required', errors: [{ path: 'server' }] },
    });
    expect(await api.call('PATCH', `/clusters/${id}`, { body: { version: 1, name: 'late' } })).toMatchObject({
      status: 409,
      body: { code: 'resource.version_conflict', currentVersion: 2 },
    });
    expect(await api.call('PATCH', `/clusters/${id}`, { body: { name: 'blind' } })).toMatchObject({ status: 422 });
    const labelled = await api.must<Cluster>('PATCH', `/clusters/${id}`, {
      body: { version: 2, labels: { env: 'test' } },
    });
    expect(labelled.version).toBe(3);
    expect((await api.must<{ items: unknown[] }>('GET', '/clusters?labelSelector=env%3Dtest')).items).toHaveLength(1);
  });

  it('is swept, told on its streams and kept in its history', async () => {
    const { id } = await register({ name: 'watched', ...token() });
    const stream = new StreamClient(service.api(`/streams/clusters/${id}`));
    try {
      const snapshot = await stream.waitFor(({ event }) => event === 'snapshot');
      expect(JSON.stringify(snapshot.envelope.data)).toContain(id);
      const update = await stream.waitFor(({ event }) => event === 'cluster_health');
      expect(update.envelope).toMatchObject({
        streamKey: `cluster:${id}`,
        data: { clusterId: id, name: 'watched', reachable: true, version: expect.stringMatching(/^v1\./) },
      });
      const history = await eventually(
        () => api.must<{ items: unknown[] }>('GET', `/clusters/${id}/health`),
        ({ items }) => items.length >= 3,
      );
      expect(history).toMatchObject({
        resolution: 'check',
        items: expect.arrayContaining([expect.objectContaining({ checks: 1 })]),
      });
      await api.must('DELETE', `/clusters/${id}`);
      await stream.waitFor(({ envelope }) => envelope.data['deleted'] === true);
    } finally {
      stream.close();
    }
    const metrics = await api.must<string>('GET', '/metrics');
    expect(metrics).toContain('crowsnest_cluster_check_duration_seconds_count{result="reachable"}');
  });

  it('checks on request, five times a minute', async () => {
    const { id } = await register({ name: 'asked', ...token() });
    const statuses: number[] = [];
    for (let time = 0; time < 6; time += 1) {
      statuses.push((await api.call('POST', `/clusters/${id}/check?metadata=true`)).status);
    }
    expect(statuses).toEqual([200, 200, 200, 200, 200, 429]);
  });
});
