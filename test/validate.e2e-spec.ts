import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { clusterServerContract } from './contracts/cluster-server.contract.js';
import { ApiClient, eventually } from './support/api-client.js';
import { accessTo, testApis } from './support/kubernetes-apis.js';
import { configMap, deployment, everyKind, type NodeInput, secret } from './support/manifests.js';
import { describeRealCluster } from './support/real-cluster.js';
import { ScriptedApiServer } from './support/scripted-api-server.js';
import { Service } from './support/service.js';

interface Problem {
  readonly severity: 'error' | 'warning';
  readonly nodeId: string | null;
  readonly path: string | null;
  readonly message: string;
  readonly hint: string | null;
}

interface Verdict {
  readonly validator: string;
  readonly verdict: string;
  readonly durationMs: number | null;
  readonly summary: string | null;
  readonly problems: readonly Problem[];
}

interface Report {
  readonly valid: boolean;
  readonly durationMs: number;
  readonly version: number;
  readonly verdicts: readonly Verdict[];
}

const ORDER = ['schema', 'reachability', 'rights', 'namespaces', 'ownership', 'dry-run'];
const CANARY = 'canary-7d1f';

/** Those that did not pass. */
function complaints({ verdicts }: Report): Record<string, string> {
  const others = verdicts.filter(({ verdict }) => verdict !== 'passed');
  return Object.fromEntries(others.map(({ validator, verdict }) => [validator, verdict]));
}

function problemsOf({ verdicts }: Report, validator: string): readonly Problem[] {
  return verdicts.find((verdict) => verdict.validator === validator)?.problems ?? [];
}

describeRealCluster('POST /workflows/:id/validate', (cluster) => {
  let service: Service;
  let api: ApiClient;
  let clusterId: string;
  let names = 0;

  beforeAll(async () => {
    service = await Service.start({ environment: { LOG_LEVEL: 'debug' } });
    api = new ApiClient(service.url);
    clusterId = await register('whole');
  });
  afterAll(() => service.dispose());

  async function register(name: string, query = '', kubeconfig = cluster().adminKubeconfig): Promise<string> {
    const options = { body: kubeconfig, contentType: 'application/yaml' };
    const { id } = await api.must<{ id: string }>('POST', `/clusters?name=${name}${query}`, options);
    return id;
  }

  async function create(namespace: string, nodes: readonly NodeInput[], more: object = {}): Promise<string> {
    names += 1;
    const body = { name: `w-${names}`, clusterId, namespace, nodes, ...more };
    return (await api.must<{ id: string }>('POST', '/workflows', { body })).id;
  }

  const validate = (id: string, query = ''): Promise<Report> => api.must('POST', `/workflows/${id}/validate${query}`);

  /** Versions of all that is in the namespace. Events come and go by themselves. */
  async function versionsIn(namespace: string): Promise<string> {
    const kinds =
      'deploy,svc,sts,ds,job,cj,ing,cm,secret,pvc,po,rs,hpa,netpol,sa,role,rolebinding,resourcequota,endpointslice';
    const columns = '-o=custom-columns=K:.kind,N:.metadata.name,V:.metadata.resourceVersion';
    return cluster().kubectl(['-n', namespace, 'get', kinds, columns]);
  }

  it('passes a good workflow of every kind, before and after its execution, and changes nothing', async () => {
    const namespace = await cluster().createNamespace('valid');
    const id = await create(namespace, everyKind());
    const before = await versionsIn(namespace);
    const report = await validate(id);
    expect(report.verdicts.map(({ validator }) => validator)).toEqual(ORDER);
    expect([complaints(report), report.valid, report.version]).toEqual([{}, true, 1]);
    expect(report.verdicts.every(({ durationMs }) => durationMs !== null && durationMs <= report.durationMs)).toBe(
      true,
    );
    expect(report.verdicts[1]?.summary).toMatch(/^Kubernetes v1\./);
    expect(report.verdicts[5]?.summary).toBe('14 of 14 manifests tried');
    expect(await versionsIn(namespace)).toBe(before);
    expect(await api.must('GET', `/workflows/${id}/runs`)).toMatchObject({ items: [] });
    expect(await api.must('GET', `/resources?workflowId=${id}`)).toMatchObject({ items: [] });
    expect(await api.must('GET', `/workflows/${id}`)).toMatchObject({ version: 1, lastRun: null });
    // An inventory entry would refuse this.
    await api.must('DELETE', `/workflows/${id}`);
  }, 60_000);

  it('passes what it has applied itself, and tells of an archived workflow that it is', async () => {
    const namespace = await cluster().createNamespace('again');
    const nodes = [
      { id: 'settings', manifest: configMap('settings') },
      { id: 'web', manifest: deployment('web', 1) },
    ];
    const id = await create(namespace, nodes, { edges: [{ source: 'settings', target: 'web', waitFor: 'healthy' }] });
    await api.must('POST', `/workflows/${id}/execute`);
    await cluster().eventually(`/apis/apps/v1/namespaces/${namespace}/deployments/web`, (web) => web !== undefined);
    expect(complaints(await validate(id))).toEqual({});
    const archive = () => api.call('POST', `/workflows/${id}/archive`, { body: { resources: 'keep' } });
    // Refused while the run is in progress.
    await eventually(archive, ({ status }) => status === 202);
    await eventually(
      () => api.must<{ state: string }>('GET', `/workflows/${id}`),
      ({ state }) => state === 'archived',
    );
    const report = await validate(id);
    // Its objects were left behind with their labels.
    expect([complaints(report), report.valid]).toEqual([{ schema: 'failed' }, false]);
    expect(problemsOf(report, 'schema')).toMatchObject([{ message: expect.stringContaining('is archived') }]);
  }, 60_000);

  it('shows a wait that cannot end and a selector that meets nothing as warnings of the schema', async () => {
    const namespace = await cluster().createNamespace('waits');
    const service = (name: string, app: string) => ({
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name },
      spec: { selector: { app }, ports: [{ port: 80 }] },
    });
    const nodes = [
      { id: 'front', manifest: service('front', 'web') },
      { id: 'lost', manifest: service('lost', 'wbe') },
      { id: 'web', manifest: deployment('web', 1) },
    ];
    const id = await create(namespace, nodes, { edges: [{ source: 'front', target: 'web', waitFor: 'healthy' }] });
    const report = await validate(id);
    expect([complaints(report), report.valid]).toEqual([{ schema: 'warning' }, true]);
    expect(problemsOf(report, 'schema').map(({ nodeId, path }) => [nodeId, path])).toEqual([
      ['front', 'edges[0].waitFor'],
      ['lost', 'nodes[1].manifest.spec.selector'],
    ]);
  });

  it('shows wrong fields as problems of the dry run, with node and path, and no value of a Secret anywhere', async () => {
    const namespace = await cluster().createNamespace('fields');
    const broken = deployment('broken', 1);
    const strange = deployment('strange', 1);
    const nodes = [
      { id: 'good', manifest: deployment('good', 1) },
      { id: 'broken', manifest: { ...broken, spec: { ...(broken['spec'] as object), replicas: -1 } } },
      { id: 'strange', manifest: { ...strange, spec: { ...(strange['spec'] as object), replicaz: 1 } } },
      { id: 'tls', manifest: { ...secret('tls', { 'tls.crt': CANARY }), type: 'kubernetes.io/tls' } },
      { id: 'password', manifest: secret('password', { value: CANARY }) },
    ];
    const report = await validate(await create(namespace, nodes));
    expect([complaints(report), report.valid]).toEqual([{ 'dry-run': 'failed' }, false]);
    const told = problemsOf(report, 'dry-run').map(({ severity, nodeId, path }) => [severity, nodeId, path]);
    expect(told).toContainEqual(['error', 'broken', 'spec.replicas']);
    expect(told).toContainEqual(['error', 'strange', expect.stringContaining('spec.replicaz')]);
    expect(told).toContainEqual(['error', 'tls', expect.stringContaining('data[tls.key]')]);
    expect(told.map(([, nodeId]) => nodeId)).not.toContain('good');
    expect(told.map(([, nodeId]) => nodeId)).not.toContain('password');
    for (const secretText of [CANARY, Buffer.from(CANARY).toString('base64')]) {
      expect(api.transcript.join('\n')).not.toContain(secretText);
      expect(service.text).not.toContain(secretText);
    }
  });

  it('shows what admission refuses as a problem of the dry run', async () => {
    const namespace = await cluster().createNamespace('quota');
    await cluster().kubectl(['-n', namespace, 'create', 'quota', 'few', '--hard=count/configmaps=1']);
    await cluster().eventually<{ status?: { used?: object } }>(
      `/api/v1/namespaces/${namespace}/resourcequotas/few`,
      (quota) => quota?.status?.used !== undefined,
    );
    const report = await validate(await create(namespace, [{ id: 'settings', manifest: configMap('settings') }]));
    expect(complaints(report)).toEqual({ 'dry-run': 'failed' });
    expect(problemsOf(report, 'dry-run')).toMatchObject([
      { severity: 'error', nodeId: 'settings', message: expect.stringContaining('exceeded quota') },
    ]);
  });

  it('shows objects of others as problems of ownership, naming whose they are', async () => {
    const namespace = await cluster().createNamespace('owners');
    await cluster().kubectl(['-n', namespace, 'create', 'configmap', 'foreign', '--from-literal=color=green']);
    const first = await create(namespace, [{ id: 'shared', manifest: configMap('shared') }]);
    await api.must('POST', `/workflows/${first}/execute`);
    await cluster().eventually(`/api/v1/namespaces/${namespace}/configmaps/shared`, (shared) => shared !== undefined);
    const nodes = [
      { id: 'a', manifest: configMap('shared') },
      { id: 'b', manifest: configMap('foreign') },
      { id: 'c', manifest: configMap('free') },
    ];
    const report = await validate(await create(namespace, nodes));
    expect([complaints(report), report.valid]).toEqual([{ ownership: 'failed' }, false]);
    expect(problemsOf(report, 'ownership')).toMatchObject([
      { nodeId: 'a', message: expect.stringMatching(/belongs to node "shared" of workflow "w-\d+"/) },
      { nodeId: 'b', message: expect.stringContaining('kubectl-create') },
    ]);
  });

  it('shows a namespace that is missing, and one that goes, as a problem of namespaces', async () => {
    const missing = await validate(await create('not-there', everyKind()));
    expect(complaints(missing)).toEqual({ namespaces: 'failed', 'dry-run': 'warning' });
    expect(problemsOf(missing, 'dry-run')).toHaveLength(1);

    const namespace = await cluster().createNamespace('going');
    const path = `/api/v1/namespaces/${namespace}/configmaps/holding`;
    const holding = { ...configMap('holding'), metadata: { name: 'holding', finalizers: ['example.test/hold'] } };
    await cluster().request('POST', `/api/v1/namespaces/${namespace}/configmaps`, holding);
    await cluster().request('DELETE', `/api/v1/namespaces/${namespace}`);
    try {
      const going = await validate(await create(namespace, everyKind()));
      expect(complaints(going)).toEqual({ namespaces: 'failed', 'dry-run': 'warning' });
      expect(problemsOf(going, 'namespaces')).toMatchObject([{ message: expect.stringContaining('being deleted') }]);
      expect(problemsOf(going, 'dry-run')).toHaveLength(1);
    } finally {
      await cluster().request('PATCH', path, { metadata: { finalizers: null } }, 'application/merge-patch+json');
    }
  });

  it('shows a namespace outside of the cluster’s limit as a problem of namespaces', async () => {
    const namespace = await cluster().createNamespace('limit');
    const id = await create(namespace, [{ id: 'settings', manifest: configMap('settings') }]);
    const { version } = await api.must('GET', `/clusters/${clusterId}`);
    const limited = await api.must('PATCH', `/clusters/${clusterId}`, { body: { version, namespaces: ['elsewhere'] } });
    try {
      const report = await validate(id);
      expect(complaints(report)).toEqual({ namespaces: 'failed' });
      expect(problemsOf(report, 'namespaces')[0]?.message).toContain('limited to elsewhere');
    } finally {
      await api.must('PATCH', `/clusters/${clusterId}`, { body: { version: limited['version'], namespaces: null } });
    }
  });

  it('names the rights that a ServiceAccount lacks, with commands that grant them', async () => {
    const namespace = await cluster().createNamespace('rights');
    const kubectl = (...args: string[]): Promise<string> => cluster().kubectl(['-n', namespace, ...args]);
    await kubectl('create', 'serviceaccount', 'deployer');
    await kubectl('create', 'role', 'some', '--verb=get,list,watch,create,patch,delete', '--resource=configmaps');
    await kubectl('create', 'role', 'less', '--verb=get,list,watch,create', '--resource=deployments.apps');
    for (const role of ['some', 'less']) {
      await kubectl('create', 'rolebinding', role, `--role=${role}`, `--serviceaccount=${namespace}:deployer`);
    }
    const token = (await kubectl('create', 'token', 'deployer')).trim();
    const own = await Service.start();
    try {
      const limited = new ApiClient(own.url);
      const kubeconfig = cluster().kubeconfig({ name: 'deployer', token });
      const options = { body: kubeconfig, contentType: 'application/yaml' };
      const { id: limitedId } = await limited.must('POST', `/clusters?name=limited&namespaces=${namespace}`, options);
      const nodes = [
        { id: 'settings', manifest: configMap('settings') },
        { id: 'web', manifest: deployment('web', 1) },
      ];
      const body = { name: 'limited', clusterId: limitedId, namespace, nodes };
      const { id } = await limited.must('POST', '/workflows', { body });
      const ask = () => limited.must<Report>('POST', `/workflows/${String(id)}/validate`);

      const report = await ask();
      expect(complaints(report)).toEqual({ rights: 'failed', namespaces: 'warning', 'dry-run': 'warning' });
      const rights = problemsOf(report, 'rights');
      expect(rights.map(({ severity, nodeId, message }) => [severity, nodeId, message.split(' in ')[0]])).toEqual([
        ['error', 'web', 'not allowed to patch, delete deployments.apps'],
        ['warning', null, 'not allowed to list, watch replicasets.apps'],
        ['warning', null, 'not allowed to list, watch pods'],
      ]);
      expect(problemsOf(report, 'dry-run')).toMatchObject([{ severity: 'warning', hint: 'see the verdict of rights' }]);
      for (const { hint } of rights) {
        for (const command of (hint ?? '').split(' && ')) await cluster().kubectl(command.split(' ').slice(1));
      }
      const granted = await ask();
      expect([complaints(granted), granted.valid]).toEqual([{ namespaces: 'warning' }, true]);
    } finally {
      await own.dispose();
    }
  }, 60_000);

  it('tells a cluster that hangs from those that did not answer, ends in time, and lets go of it', async () => {
    const silent = await new ScriptedApiServer(() => undefined).start();
    try {
      const token = { server: silent.server, token: 'not-a-real-token', caData: silent.caCertificate };
      const { id } = await api.must<{ id: string }>('POST', '/clusters', { body: { name: 'silent', token } });
      const workflow = await create('default', [{ id: 'settings', manifest: configMap('settings') }], {
        clusterId: id,
      });
      const report = await validate(workflow, '?timeout=1s');
      expect(complaints(report)).toEqual({
        reachability: 'failed',
        rights: 'unanswered',
        namespaces: 'unanswered',
        ownership: 'unanswered',
        'dry-run': 'unanswered',
      });
      expect(problemsOf(report, 'reachability')).toMatchObject([{ message: expect.stringContaining('(timeout)') }]);
      expect(report.durationMs).toBeLessThan(1_500);
      expect(report.valid).toBe(false);
    } finally {
      await silent.stop();
    }
  }, 60_000);

  it('says once for each validator that a cluster is down', async () => {
    const token = { server: 'https://127.0.0.1:1', token: 'not-a-real-token' };
    const { id } = await api.must<{ id: string }>('POST', '/clusters', { body: { name: 'down', token } });
    const report = await validate(await create('default', everyKind(), { clusterId: id }));
    const down = { rights: 'failed', namespaces: 'failed', ownership: 'failed', 'dry-run': 'failed' };
    expect(complaints(report)).toEqual({ reachability: 'failed', ...down });
    for (const validator of ['reachability', ...Object.keys(down)]) {
      expect(problemsOf(report, validator)).toHaveLength(1);
    }
  });

  it('refuses wrong durations, unknown parameters and unknown workflows', async () => {
    const id = await create('default', [{ id: 'settings', manifest: configMap('settings') }]);
    for (const query of ['?timeout=999ms', '?timeout=31s', '?timeout=soon', '?timeout=1m', '?timeot=5s']) {
      const { status, body } = await api.call('POST', `/workflows/${id}/validate${query}`);
      expect([query, status, body]).toEqual([query, 422, expect.objectContaining({ code: 'request.invalid' })]);
    }
    expect((await api.call('POST', `/workflows/${'0'.repeat(24)}/validate`)).status).toBe(404);
  });

  it('gives up when its client leaves', async () => {
    let reviews = 0;
    let closed = 0;
    const silent = await new ScriptedApiServer((request) => {
      if (!request.url.includes('selfsubject')) return;
      reviews += 1;
      request.stream.once('close', () => (closed += 1));
    }).start();
    try {
      const token = { server: silent.server, token: 'not-a-real-token', caData: silent.caCertificate };
      const { id } = await api.must<{ id: string }>('POST', '/clusters', { body: { name: 'hanging', token } });
      const nodes = [{ id: 'settings', manifest: configMap('settings') }];
      const workflow = await create('default', nodes, { clusterId: id });
      const client = new AbortController();
      const url = service.api(`/workflows/${workflow}/validate?timeout=30s`);
      const gone = fetch(url, { method: 'POST', signal: client.signal }).catch((error: unknown) => error);
      const counts = () => Promise.resolve({ reviews, closed });
      await eventually(counts, (count) => count.reviews === 5);
      expect(closed).toBe(0);
      client.abort();
      await gone;
      // A call that nobody gives up ends after 10 s.
      await eventually(counts, (count) => count.closed === 5, 5_000);
      expect(reviews).toBe(5);
      expect(service.lines.filter(({ level }) => level === 'error')).toEqual([]);
    } finally {
      await silent.stop();
    }
  }, 60_000);
});

describeRealCluster('reviews and namespaces of an API server', (cluster) => {
  clusterServerContract('the real one', async () => {
    const namespace = await cluster().createNamespace('reviews');
    const user = `reviewed-${namespace}`;
    const kubectl = (...args: string[]): Promise<string> => cluster().kubectl(['-n', namespace, ...args]);
    await kubectl('create', 'role', 'some', '--verb=get,list,watch,create,patch', '--resource=configmaps');
    await kubectl('create', 'role', 'one', '--verb=patch', '--resource=secrets', '--resource-name=password');
    for (const role of ['some', 'one'])
      await kubectl('create', 'rolebinding', role, `--role=${role}`, `--user=${user}`);
    const { certificate, key } = cluster().authority.issue({
      commonName: user,
      organizations: [],
      usage: 'clientAuth',
    });
    const apis = testApis();
    const api = apis.open(accessTo(cluster(), { type: 'token', token: cluster().token }));
    const limited = apis.open(
      accessTo(cluster(), { type: 'client-certificate', certificateData: certificate, keyData: key }),
    );
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    return {
      api,
      limited,
      namespace,
      userName: user,
      namedSecret: 'password',
      terminate: async () => {
        const holding = { ...configMap('holding'), metadata: { name: 'holding', finalizers: ['example.test/hold'] } };
        await cluster().request('POST', path, holding);
        await cluster().request('DELETE', `/api/v1/namespaces/${namespace}`);
      },
      close: async () => {
        const freed = { metadata: { finalizers: null } };
        await cluster().request('PATCH', `${path}/holding`, freed, 'application/merge-patch+json');
        await api.close();
        await limited.close();
      },
    };
  });
});
