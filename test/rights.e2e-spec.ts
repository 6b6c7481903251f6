import { expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { configMap, deployment } from './support/manifests.js';
import { describeRealCluster } from './support/real-cluster.js';
import { Service } from './support/service.js';

interface Watcher {
  readonly kind: string;
  readonly namespace: string | null;
  readonly state: string;
  readonly error: { verb: string; resource: string; namespace: string | null } | null;
}

describeRealCluster('a user with too few rights', (cluster) => {
  it('is told verb, resource and namespace for the kind it may not see; the other kinds go on', async () => {
    const namespace = await cluster().createNamespace('rights');
    const user = { name: `limited-${namespace}` };
    const verbs = '--verb=get,list,watch,create,patch,delete';
    await cluster().kubectl(['-n', namespace, 'create', 'role', 'limited', verbs, '--resource=configmaps,pods']);
    await cluster().kubectl([
      '-n',
      namespace,
      'create',
      'role',
      'deployer',
      '--verb=get,create,patch',
      '--resource=deployments.apps',
    ]);
    for (const role of ['limited', 'deployer']) {
      await cluster().kubectl([
        '-n',
        namespace,
        'create',
        'rolebinding',
        role,
        `--role=${role}`,
        `--user=${user.name}`,
      ]);
    }
    const service = await Service.start();
    try {
      const api = new ApiClient(service.url);
      const registered = await api.must('POST', `/clusters?name=limited&namespaces=${namespace}`, {
        body: cluster().kubeconfig(user),
        contentType: 'application/yaml',
      });
      expect(registered).toMatchObject({ reachable: true, uid: null, metadata: { nodes: null } });
      expect(JSON.stringify(registered['metadata'])).toMatch(/nodes/);
      const body = {
        name: 'limited',
        clusterId: registered['id'],
        namespace,
        nodes: [
          { id: 'settings', manifest: configMap('settings') },
          { id: 'web', manifest: deployment('web', 1) },
        ],
      };
      const { id } = await api.must('POST', '/workflows', { body });
      await api.must('POST', `/workflows/${String(id)}/execute`);
      const { items } = await eventually(
        () => api.must<{ items: Watcher[] }>('GET', `/watchers`),
        (watchers) =>
          watchers.items.some(({ error }) => error !== null) &&
          watchers.items.some(({ kind, state }) => kind === 'ConfigMap' && state === 'watching'),
      );
      expect(items.find(({ kind }) => kind === 'Deployment')?.error).toMatchObject({
        verb: 'list',
        resource: 'deployments',
        namespace,
      });
      const resources = await eventually(
        () =>
          api.must<{ items: Array<{ nodeId: string; health: string }> }>('GET', `/resources?workflowId=${String(id)}`),
        (answer) => answer.items.some(({ nodeId, health }) => nodeId === 'settings' && health === 'healthy'),
      );
      expect(resources.items.find(({ nodeId }) => nodeId === 'web')?.health).not.toBe('healthy');
      expect(await api.must('GET', `/clusters/${String(registered['id'])}`)).toMatchObject({ reachable: true });
    } finally {
      await service.dispose();
    }
  }, 90_000);
});
