import { objectServerContract } from '../contracts/object-server.contract.js';
import { FakeObjectServer } from './fake-object-server.js';

objectServerContract('the fake', () => {
  const api = new FakeObjectServer();
  const pathOf = (name: string): string => `/api/v1/namespaces/shop/configmaps/${name}`;
  return Promise.resolve({
    api,
    namespace: 'shop',
    setData: (name, manager, key, value) => {
      api.edit(pathOf(name), { manager, values: { [`.data.${key}`]: value } });
      return Promise.resolve();
    },
    setFinalizers: (name, finalizers) => {
      api.edit(pathOf(name), { manager: 'somebody', finalizers: [...finalizers] });
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  });
});
