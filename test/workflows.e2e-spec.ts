import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { configMap, deployment, type NodeInput, secret } from './support/manifests.js';
import { describeRealCluster } from './support/real-cluster.js';
import { Service } from './support/service.js';

interface RunNode {
  readonly nodeId: string;
  readonly outcome: string;
  readonly reason: string | null;
  readonly message: string | null;
  readonly fields: readonly string[];
  readonly managers: readonly string[];
}

interface Run {
  readonly id: string;
  readonly state: string;
  readonly message: string | null;
  readonly nodes: readonly RunNode[];
}

interface Workflow {
  readonly id: string;
  readonly version: number;
  readonly state: string;
}

interface Stored {
  readonly metadata: {
    readonly uid: string;
    readonly resourceVersion: string;
    readonly generation?: number;
    readonly labels?: Record<string, string>;
    readonly finalizers?: string[];
  };
  readonly data?: Record<string, string>;
  readonly spec?: { readonly replicas?: number; readonly template?: { readonly metadata: object } };
}

interface Edge {
  readonly source: string;
  readonly target: string;
  readonly waitFor?: 'applied' | 'healthy';
}

function job(name: string, ttlSecondsAfterFinished: number, image = 'registry.test/app:1'): NodeInput['manifest'] {
  return {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name },
    spec: {
      ttlSecondsAfterFinished,
      template: { spec: { restartPolicy: 'Never', containers: [{ name: 'app', image }] } },
    },
  };
}

describeRealCluster('runs of workflows', (cluster) => {
  let service: Service;
  let api: ApiClient;
  let namespace: string;
  let clusterId: string;
  let names = 0;

  const core = (plural: string, name: string): string => `/api/v1/namespaces/${namespace}/${plural}/${name}`;
  const apps = (plural: string, name: string): string => `/apis/apps/v1/namespaces/${namespace}/${plural}/${name}`;
  const read = async (path: string): Promise<Stored> => (await cluster().request<Stored>('GET', path)).body;
  const exists = async (path: string): Promise<boolean> => (await cluster().request('GET', path)).status === 200;

  const create = (nodes: readonly object[], edges: readonly Edge[] = [], more: object = {}): Promise<Workflow> => {
    names += 1;
    return api.must<Workflow>('POST', '/workflows', {
      body: { name: `workflow-${names}`, clusterId, namespace, nodes, edges, ...more },
    });
  };
  const replaceNodes = async (id: string, nodes: readonly object[]): Promise<void> => {
    const { name, version } = await api.must<Workflow & { name: string }>('GET', `/workflows/${id}`);
    await api.must('PUT', `/workflows/${id}`, { body: { name, version, clusterId, namespace, nodes } });
  };
  const ended = (workflowId: string, runId: string): Promise<Run> =>
    eventually(
      () => api.must<Run>('GET', `/workflows/${workflowId}/runs/${runId}`),
      (run) => run.state !== 'running',
      60_000,
    );
  const execute = async (workflowId: string): Promise<Run> => {
    const { id } = await api.must<Run>('POST', `/workflows/${workflowId}/execute`);
    return ended(workflowId, id);
  };
  const archive = async (workflowId: string, resources: 'delete' | 'keep'): Promise<Run> => {
    const { id } = await api.must<Run>('POST', `/workflows/${workflowId}/archive`, { body: { resources } });
    return ended(workflowId, id);
  };
  const nodeOf = (run: Run, nodeId: string): RunNode => {
    const node = run.nodes.find((each) => each.nodeId === nodeId);
    if (!node) throw new Error(`no node ${nodeId} in ${JSON.stringify(run)}`);
    return node;
  };
  const outcomes = (run: Run): Record<string, string> =>
    Object.fromEntries(run.nodes.map(({ nodeId, outcome }) => [nodeId, outcome]));

  beforeAll(async () => {
    service = await Service.start();
    api = new ApiClient(service.url);
    namespace = await cluster().createNamespace('runs');
    const body = cluster().kubeconfig();
    const created = await api.must('POST', '/clusters?name=local', { body, contentType: 'application/yaml' });
    clusterId = String(created['id']);
  }, 60_000);

  afterAll(() => service?.dispose());

  it('answers an execution with its run, marks the object as ours, and leaves pod templates alone', async () => {
    const { id } = await create([{ id: 'web', manifest: deployment('marked', 1) }]);
    const answer = await api.call<Run>('POST', `/workflows/${id}/execute`);
    expect(answer.status).toBe(202);
    expect(answer.headers.get('location')).toBe(`/api/v1/workflows/${id}/runs/${answer.body.id}`);
    const run = await ended(id, answer.body.id);
    expect(run).toMatchObject({ state: 'succeeded', message: null, nodes: [{ nodeId: 'web', outcome: 'created' }] });
    const { metadata, spec } = await read(apps('deployments', 'marked'));
    expect(metadata.labels).toEqual({
      'app.kubernetes.io/managed-by': 'crowsnest',
      'crowsnest.io/installation': expect.stringMatching(/^[0-9a-f]{12}$/),
      'crowsnest.io/workflow': id,
      'crowsnest.io/node': 'web',
    });
    expect(spec?.template?.metadata).toEqual({ labels: { app: 'marked' } });
    const runs = await api.must<{ items: Run[] }>('GET', `/workflows/${id}/runs`);
    expect(runs.items.map((each) => each.id)).toEqual([run.id]);
  }, 60_000);

  it('begins a node once its source is healthy, and not before', async () => {
    const nodes = [
      { id: 'first', manifest: deployment('ordered-first', 1) },
      { id: 'second', manifest: configMap('ordered-second') },
    ];
    const { id } = await create(nodes, [{ source: 'first', target: 'second', waitFor: 'healthy' }]);
    const run = await execute(id);
    expect(outcomes(run)).toEqual({ first: 'created', second: 'created' });
    const [first, second] = run.nodes as unknown as Array<{ startedAt: string; endedAt: string }>;
    expect(Date.parse(second?.startedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(first?.endedAt ?? ''));
    const { items } = await api.must<{ items: Array<{ nodeId: string; since: string; health: string }> }>(
      'GET',
      `/resources?workflowId=${id}`,
    );
    expect(items.find(({ nodeId }) => nodeId === 'first')?.health).toBe('healthy');
  }, 60_000);

  it('tells a source that does not become healthy in time, and skips what waits for it', async () => {
    const never = deployment('never', 1);
    const template = { metadata: { labels: { app: 'never', 'crowsnest.test/behave': 'crash-loop' } } };
    const spec = never['spec'] as { template: object };
    const crashing = { ...never, spec: { ...spec, template: { ...spec.template, ...template } } };
    const nodes = [
      { id: 'web', manifest: crashing, timeoutMs: 3_000 },
      { id: 'after', manifest: configMap('never-after') },
      { id: 'beside', manifest: configMap('never-beside') },
    ];
    const { id } = await create(nodes, [{ source: 'web', target: 'after', waitFor: 'healthy' }]);
    const run = await execute(id);
    expect(run.state).toBe('failed');
    expect(outcomes(run)).toEqual({ web: 'timed-out', after: 'skipped', beside: 'created' });
    expect(nodeOf(run, 'web').message).toContain('after 3000 ms');
    expect(nodeOf(run, 'after').message).toBe('not reached: web ended as timed-out');
    expect(await exists(core('configmaps', 'never-after'))).toBe(false);
  }, 60_000);

  it('refuses a second execution at the same time with the id of the first, and cancels truthfully', async () => {
    const crashing = deployment('slow', 1);
    const spec = crashing['spec'] as { template: object };
    const labels = { labels: { app: 'slow', 'crowsnest.test/behave': 'crash-loop' } };
    const nodes = [
      { id: 'web', manifest: { ...crashing, spec: { ...spec, template: { ...spec.template, metadata: labels } } } },
      { id: 'after', manifest: configMap('slow-after') },
    ];
    const { id } = await create(nodes, [{ source: 'web', target: 'after', waitFor: 'healthy' }]);
    const answers = await Promise.all(
      Array.from({ length: 5 }, () =>
        api.call<Run & { code?: string; runId?: string }>('POST', `/workflows/${id}/execute`),
      ),
    );
    const accepted = answers.filter(({ status }) => status === 202);
    const refused = answers.filter(({ status }) => status === 409);
    expect([accepted.length, refused.length]).toEqual([1, 4]);
    const runId = accepted[0]?.body.id ?? '';
    for (const { body } of refused) expect(body).toMatchObject({ code: 'workflow.run_active', runId });
    await eventually(
      () => api.must<Run>('GET', `/workflows/${id}/runs/${runId}`),
      (run) => nodeOf(run, 'web').outcome === 'waiting',
    );
    expect((await api.call('POST', `/workflows/${id}/runs/${runId}/cancel`)).status).toBe(202);
    const run = await ended(id, runId);
    expect(run.state).toBe('cancelled');
    expect(outcomes(run)).toEqual({ web: 'created', after: 'skipped' });
    const again = await api.call('POST', `/workflows/${id}/runs/${runId}/cancel`);
    expect([again.status, again.body['code']]).toEqual([409, 'run.not_active']);
  }, 60_000);

  it('lets one workflow have an object, and names it to the other', async () => {
    const node = { id: 'settings', manifest: configMap('shared') };
    const first = await create([node]);
    const second = await create([{ ...node, manifest: configMap('shared', { color: 'red' }) }]);
    expect((await execute(first.id)).state).toBe('succeeded');
    const refused = await api.call('POST', `/workflows/${second.id}/execute`);
    expect(refused.status).toBe(409);
    expect(refused.body).toMatchObject({ code: 'workflow.object_taken', workflowId: first.id, nodeId: 'settings' });
    expect((await read(core('configmaps', 'shared'))).data).toEqual({ color: 'blue' });
    expect((await api.must<{ items: Run[] }>('GET', `/workflows/${second.id}/runs`)).items).toEqual([]);
    expect(outcomes(await archive(second.id, 'delete'))).toEqual({ settings: 'kept' });
    expect(await exists(core('configmaps', 'shared'))).toBe(true);
  }, 60_000);

  it('neither changes nor deletes an object of somebody else', async () => {
    const foreign = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'foreign' }, data: { color: 'green' } };
    await cluster().kubectl(['-n', namespace, 'apply', '-f', '-'], JSON.stringify(foreign));
    const before = await read(core('configmaps', 'foreign'));
    const { id } = await create([{ id: 'settings', manifest: configMap('foreign') }]);
    const run = await execute(id);
    expect(run).toMatchObject({ state: 'failed', message: '1 of 1 node: settings (exists)' });
    expect(nodeOf(run, 'settings')).toMatchObject({
      outcome: 'exists',
      reason: 'NotOurs',
      managers: ['kubectl-client-side-apply'],
    });
    expect(outcomes(await archive(id, 'delete'))).toEqual({ settings: 'kept' });
    expect((await read(core('configmaps', 'foreign'))).metadata).toEqual(before.metadata);
    expect((await api.call('DELETE', `/workflows/${id}`)).status).toBe(204);
  }, 60_000);

  it('applies Secrets, and tells of refused ones without their values', async () => {
    const canary = 'canary-7b1e';
    const { id } = await create([{ id: 'password', manifest: secret('password', { value: canary }) }]);
    expect(outcomes(await execute(id))).toEqual({ password: 'created' });
    expect((await read(core('secrets', 'password'))).data).toEqual({ value: Buffer.from(canary).toString('base64') });
    expect(outcomes(await execute(id))).toEqual({ password: 'unchanged' });

    const patch = { stringData: { value: 'theirs' } };
    await cluster().kubectl(['-n', namespace, 'patch', 'secret/password', '-p', JSON.stringify(patch)]);
    const contested = await execute(id);
    expect(nodeOf(contested, 'password')).toMatchObject({
      outcome: 'conflict',
      fields: ['.data.value'],
      managers: ['kubectl-patch'],
    });
    const typed = { ...secret('typed', {}), type: 'kubernetes.io/tls', stringData: { 'tls.crt': canary } };
    const invalid = await create([{ id: 'tls', manifest: typed }]);
    const refused = await execute(invalid.id);
    expect(nodeOf(refused, 'tls')).toMatchObject({ outcome: 'failed', reason: 'Invalid', fields: ['data[tls.key]'] });
    expect(api.transcript.filter((text) => text.includes(canary))).toEqual([]);
    expect(service.text).not.toContain(canary);
  }, 60_000);

  it('yields replicas that were scaled, fights for nothing else, and applies nothing twice', async () => {
    const { id } = await create([{ id: 'web', manifest: deployment('scaled', 1) }]);
    await execute(id);
    await cluster().kubectl(['-n', namespace, 'scale', 'deployment/scaled', '--replicas=2']);
    const { metadata } = await read(apps('deployments', 'scaled'));
    const unchanged = await execute(id);
    expect(nodeOf(unchanged, 'web')).toMatchObject({
      outcome: 'unchanged',
      reason: 'ReplicasYielded',
      fields: ['.spec.replicas'],
      managers: ['kubectl'],
    });
    const after = await read(apps('deployments', 'scaled'));
    expect([after.spec?.replicas, after.metadata.generation]).toEqual([2, metadata.generation]);

    const image = { spec: { template: { spec: { containers: [{ name: 'app', image: 'registry.test/app:2' }] } } } };
    await cluster().kubectl(['-n', namespace, 'patch', 'deployment/scaled', '-p', JSON.stringify(image)]);
    const contested = await execute(id);
    expect(nodeOf(contested, 'web')).toMatchObject({ outcome: 'conflict', managers: ['kubectl-patch'] });
    expect(nodeOf(contested, 'web').fields.join()).toContain('image');
  }, 60_000);

  it('tells an immutable field with its path', async () => {
    const { id } = await create([{ id: 'web', manifest: deployment('fixed', 1) }]);
    await execute(id);
    const changed = deployment('fixed', 1);
    const template = { metadata: { labels: { app: 'other' } }, spec: { containers: [{ name: 'app', image: 'x' }] } };
    await replaceNodes(id, [
      {
        id: 'web',
        manifest: { ...changed, spec: { replicas: 1, selector: { matchLabels: { app: 'other' } }, template } },
      },
    ]);
    const run = await execute(id);
    expect(nodeOf(run, 'web')).toMatchObject({ outcome: 'immutable', fields: ['spec.selector'] });
  }, 60_000);

  it('does not run a Job again that has completed and was removed by its TTL', async () => {
    const { id } = await create([{ id: 'migrate', manifest: job('migrate', 1) }]);
    expect(outcomes(await execute(id))).toEqual({ migrate: 'created' });
    const path = `/apis/batch/v1/namespaces/${namespace}/jobs/migrate`;
    await cluster().eventually(path, (one) => one === undefined);
    const { items } = await eventually(
      () => api.must<{ items: Array<{ health: string }> }>('GET', `/resources?workflowId=${id}`),
      (page) => page.items[0]?.health === 'completed',
    );
    expect(items).toHaveLength(1);
    const run = await execute(id);
    expect(nodeOf(run, 'migrate')).toMatchObject({ outcome: 'unchanged', reason: 'JobCompleted' });
    expect(await exists(path)).toBe(false);
    await replaceNodes(id, [{ id: 'migrate', manifest: job('migrate', 1, 'registry.test/app:2') }]);
    expect(outcomes(await execute(id))).toEqual({ migrate: 'created' });
  }, 90_000);

  it('archives in reverse order, and names what remains with its finalizers', async () => {
    const nodes = [
      { id: 'settings', manifest: configMap('kept-alive'), timeoutMs: 2_000 },
      { id: 'web', manifest: deployment('goes', 2) },
    ];
    const { id } = await create(nodes, [{ source: 'settings', target: 'web' }]);
    await execute(id);
    const hold = { metadata: { finalizers: ['example.test/hold'] } };
    await cluster().kubectl(['-n', namespace, 'patch', 'configmap/kept-alive', '-p', JSON.stringify(hold)]);
    const run = await archive(id, 'delete');
    expect(outcomes(run)).toEqual({ settings: 'remains', web: 'deleted' });
    expect(nodeOf(run, 'settings')).toMatchObject({ managers: ['example.test/hold'] });
    const [settings, web] = run.nodes as unknown as Array<{ startedAt: string; endedAt: string }>;
    expect(Date.parse(settings?.startedAt ?? '')).toBeGreaterThanOrEqual(Date.parse(web?.endedAt ?? ''));
    const pods = await cluster().kubectl(['-n', namespace, 'get', 'pods', '-l', 'app=goes', '-o', 'name']);
    expect(pods).toBe('');
    expect(await api.must<Workflow>('GET', `/workflows/${id}`)).toMatchObject({ state: 'archived' });
    expect((await api.call('DELETE', `/workflows/${id}`)).body).toMatchObject({ code: 'workflow.in_use' });
    const release = { metadata: { finalizers: null } };
    await cluster().kubectl(['-n', namespace, 'patch', 'configmap/kept-alive', '-p', JSON.stringify(release)]);
  }, 60_000);

  it('leaves the objects where that is asked for, and keeps one that somebody made anew', async () => {
    const { id } = await create([{ id: 'settings', manifest: configMap('left') }]);
    await execute(id);
    expect(outcomes(await archive(id, 'keep'))).toEqual({ settings: 'kept' });
    expect(await exists(core('configmaps', 'left'))).toBe(true);
    const watched = await api.must<{ items: Array<{ freshness: string }> }>('GET', `/resources?workflowId=${id}`);
    expect(watched.items).toMatchObject([{ freshness: 'stale' }]);

    const other = await create([{ id: 'settings', manifest: configMap('anew') }]);
    await execute(other.id);
    const { metadata } = await read(core('configmaps', 'anew'));
    const copy = { ...configMap('anew'), metadata: { name: 'anew', labels: metadata.labels } };
    await cluster().kubectl(['-n', namespace, 'delete', 'configmap/anew']);
    await cluster().kubectl(['-n', namespace, 'create', '-f', '-'], JSON.stringify(copy));
    expect(outcomes(await archive(other.id, 'delete'))).toEqual({ settings: 'kept' });
    expect(await exists(core('configmaps', 'anew'))).toBe(true);
  }, 60_000);

  it('tells a namespace that is not there, and one without rights, for that node', async () => {
    const missing = await create([{ id: 'settings', manifest: configMap('nowhere') }], [], { namespace: 'nowhere' });
    const run = await execute(missing.id);
    expect(nodeOf(run, 'settings')).toMatchObject({ outcome: 'failed', reason: 'NotFound' });
    expect(nodeOf(run, 'settings').message).toContain('namespaces "nowhere" not found');
    // Nothing came into being, so nothing is claimed: the workflow can go.
    expect((await api.call('DELETE', `/workflows/${missing.id}`)).status).toBe(204);
  }, 60_000);
});
