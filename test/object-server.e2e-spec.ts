import { objectServerContract } from './contracts/object-server.contract.js';
import { accessTo, testApis } from './support/kubernetes-apis.js';
import { describeRealCluster } from './support/real-cluster.js';

const mergePatch = 'application/merge-patch+json';

describeRealCluster('objects of an API server', (cluster) => {
  objectServerContract('the real one', async () => {
    const namespace = await cluster().createNamespace('objects');
    const api = testApis().open(accessTo(cluster(), { type: 'token', token: cluster().token }));
    const pathOf = (name: string): string => `/api/v1/namespaces/${namespace}/configmaps/${name}`;
    const patch = (name: string, manager: string, body: object) =>
      cluster().request('PATCH', `${pathOf(name)}?fieldManager=${manager}`, body, mergePatch);
    return {
      api,
      namespace,
      setData: async (name, manager, key, value) => {
        const patched = await patch(name, manager, { data: { [key]: value } });
        if (patched.status === 200) return;
        const body = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { [key]: value } };
        await cluster().request('POST', `/api/v1/namespaces/${namespace}/configmaps?fieldManager=${manager}`, body);
      },
      setFinalizers: async (name, finalizers) => {
        await patch(name, 'somebody', { metadata: { finalizers: finalizers.length === 0 ? null : finalizers } });
      },
      close: () => api.close(),
    };
  });
});
