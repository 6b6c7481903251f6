import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { configMap, deployment } from './support/manifests.js';
import { describeOwnCluster, describeRealCluster } from './support/real-cluster.js';
import { Service } from './support/service.js';
import { StreamClient } from './support/stream-client.js';

interface Resource {
  readonly nodeId: string;
  readonly kind: string;
  readonly health: string;
  readonly freshness: string;
  readonly version: number;
}

interface Resources {
  readonly items: Resource[];
}

const NODES = [
  { id: 'settings', manifest: configMap('settings') },
  { id: 'web', manifest: deployment('web', 3) },
  { id: 'api', manifest: deployment('api', 3) },
];

async function register(api: ApiClient, kubeconfig: string): Promise<string> {
  const body = await api.must('POST', '/clusters?name=local', { body: kubeconfig, contentType: 'application/yaml' });
  return String(body['id']);
}

async function createWorkflow(api: ApiClient, clusterId: string, namespace: string): Promise<string> {
  const body = {
    name: 'shop',
    clusterId,
    namespace,
    nodes: NODES,
    edges: [{ source: 'web', target: 'api', waitFor: 'healthy' }],
  };
  return String((await api.must('POST', '/workflows', { body }))['id']);
}

const resourcesOf = (api: ApiClient, workflowId: string) =>
  api.must<Resources>('GET', `/resources?workflowId=${workflowId}`);

const isAllHealthy = ({ items }: Resources): boolean =>
  items.length === NODES.length && items.every(({ health, freshness }) => health === 'healthy' && freshness === 'live');

describeRealCluster('kill -9 during a rollout', (cluster) => {
  it('comes back with the truth, applies nothing twice, and streams a snapshot of the state', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'crowsnest-kill-'));
    const namespace = await cluster().createNamespace('kill');
    const first = await Service.start({ dataDir });
    const api = new ApiClient(first.url);
    const workflowId = await createWorkflow(api, await register(api, cluster().kubeconfig()), namespace);
    await api.must('POST', `/workflows/${workflowId}/execute`);
    await eventually(
      () => resourcesOf(api, workflowId),
      ({ items }) => items.some(({ nodeId }) => nodeId === 'web'),
    );
    await first.end('SIGKILL');

    const second = await Service.start({ dataDir });
    const again = new ApiClient(second.url);
    const begun = performance.now();
    await eventually(() => resourcesOf(again, workflowId), isAllHealthy);
    expect(performance.now() - begun).toBeLessThan(20_000);
    const runs = await eventually(
      () => again.must<{ items: Array<{ state: string }> }>('GET', `/workflows/${workflowId}/runs`),
      ({ items }) => items[0]?.state !== 'running',
    );
    expect(runs.items).toMatchObject([{ state: 'succeeded' }]);

    for (const name of ['web', 'api']) {
      const path = `/apis/apps/v1/namespaces/${namespace}/deployments/${name}`;
      const { body } = await cluster().request<{ metadata: { generation: number } }>('GET', path);
      expect([name, body.metadata.generation]).toEqual([name, 1]);
    }
    const stream = new StreamClient(second.api(`/streams/workflows/${workflowId}`));
    const { envelope } = await stream.waitFor(({ event }) => event === 'snapshot');
    stream.close();
    const items = envelope.data['items'] as Array<{ eventType: string; data: Resource }>;
    const shown = items.filter(({ eventType }) => eventType === 'node_update').map(({ data }) => data);
    const stored = await resourcesOf(again, workflowId);
    const byNode = (a: Resource, b: Resource): number => (a.nodeId < b.nodeId ? -1 : 1);
    expect(shown.toSorted(byNode)).toEqual(stored.items.toSorted(byNode));
    expect(await second.end('SIGTERM')).toBe(0);
    await rm(dataDir, { recursive: true });
  }, 90_000);
});

describeOwnCluster('an API server that is killed and comes back', (cluster) => {
  it('is told as unreachable with its resources stale, and all catches up without a restart of ours', async () => {
    const { controlPlane } = cluster();
    const namespace = await controlPlane.createNamespace('outage');
    const service = await Service.start({ environment: { CROWSNEST_CLUSTER_HEALTH_PERIOD: '1s' } });
    try {
      const api = new ApiClient(service.url);
      const clusterId = await register(api, controlPlane.kubeconfig());
      const workflowId = await createWorkflow(api, clusterId, namespace);
      await api.must('POST', `/workflows/${workflowId}/execute`);
      await eventually(() => resourcesOf(api, workflowId), isAllHealthy);

      await controlPlane.kill('kube-apiserver');
      const down = await eventually(
        () => api.must('GET', `/clusters/${clusterId}`),
        ({ reachable }) => reachable === false,
      );
      expect(down['reason']).toMatchObject({ code: 'refused' });
      const stale = await eventually(
        () => resourcesOf(api, workflowId),
        ({ items }) => items.every(({ freshness }) => freshness === 'stale'),
      );
      expect(stale.items.filter(({ health }) => health === 'healthy')).toEqual([]);

      await controlPlane.restart('kube-apiserver');
      // What changed while nobody could look is found too.
      await controlPlane.kubectl(['-n', namespace, 'delete', 'configmap', 'settings']);
      await eventually(
        () => api.must('GET', `/clusters/${clusterId}`),
        ({ reachable }) => reachable === true,
      );
      const caughtUp = await eventually(
        () => resourcesOf(api, workflowId),
        ({ items }) => items.every(({ freshness }) => freshness === 'live'),
        60_000,
      );
      const health = Object.fromEntries(caughtUp.items.map((item) => [item.nodeId, item.health]));
      expect(health).toEqual({ settings: 'missing', web: 'healthy', api: 'healthy' });
    } finally {
      await service.dispose();
    }
  }, 120_000);
});
