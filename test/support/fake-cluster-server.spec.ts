import { clusterServerContract } from '../contracts/cluster-server.contract.js';
import { FakeClusterServer } from './fake-cluster-server.js';

clusterServerContract('the fake', () => {
  const server = new FakeClusterServer();
  const limited = new FakeClusterServer();
  server.namespaces.set('shop', 'active');
  limited.namespaces.set('shop', 'hidden');
  for (const verb of ['get', 'create', 'patch', 'delete']) limited.denied.add(`${verb} secrets`);
  limited.denied.add('delete configmaps');
  limited.allowed.add('patch secrets password');
  return Promise.resolve({
    api: server,
    limited,
    namespace: 'shop',
    userName: limited.user,
    namedSecret: 'password',
    terminate: () => {
      server.namespaces.set('shop', 'terminating');
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
});
