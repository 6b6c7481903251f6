import { FakeClock } from '../../../test/support/fake-clock.js';
import { type FakeObject, FakeWatchSource } from '../../../test/support/fake-watch-source.js';
import { watchSourceContract } from '../../../test/contracts/watch-source.contract.js';

watchSourceContract('the played cluster of the tests', () => {
  const clock = new FakeClock();
  const source = new FakeWatchSource(clock);
  const objects = new Map<string, FakeObject>();
  const at = (namespace: string, name: string): FakeObject => {
    const object = objects.get(`${namespace}/${name}`);
    if (!object) throw new Error(`there is no ${namespace}/${name}`);
    return object;
  };
  return Promise.resolve({
    source,
    namespaces: ['first', 'second'],
    addConfigMap: async (namespace, name) => {
      objects.set(`${namespace}/${name}`, source.add('ConfigMap', namespace, name));
    },
    changeConfigMap: async (namespace, name) => {
      objects.set(`${namespace}/${name}`, source.modify(at(namespace, name)));
    },
    removeConfigMap: async (namespace, name) => source.remove(at(namespace, name)),
    expiredVersion: async () => {
      const version = source.resourceVersion;
      source.add('ConfigMap', 'second', 'later');
      source.expire();
      return version;
    },
    elapse: (ms) => clock.advance(ms),
    close: async () => undefined,
  });
});
