import { beforeEach, describe, expect, it } from '@jest/globals';
import { FakeClusterServer } from '../../../test/support/fake-cluster-server.js';
import { storedWorkflow, TIMEOUT_MS, unaborted } from '../../../test/support/validated-workflow.js';
import { FakeClusters } from '../../../test/support/workflow-room.js';
import { KubernetesApiError } from '../../kubernetes/index.js';
import { NamespacesValidator } from './namespaces-validator.js';

describe('the validator of namespaces', () => {
  let server: FakeClusterServer;
  let clusters: FakeClusters;
  beforeEach(() => {
    server = new FakeClusterServer();
    clusters = new FakeClusters();
  });

  async function validate(namespaces: readonly string[] | null = null) {
    const validator = new NamespacesValidator(clusters, { forCluster: () => Promise.resolve(server) });
    const workflow = storedWorkflow({ clusterId: clusters.add({ namespaces }) });
    return (await validator.validate({ workflow, timeoutMs: TIMEOUT_MS }, unaborted())).problems;
  }

  it('has nothing to say to one that is there and within the limit', async () => {
    server.namespaces.set('shop', 'active');
    expect(await validate()).toEqual([]);
    expect(await validate(['shop', 'other'])).toEqual([]);
  });

  it.each([
    ['missing', undefined, 'error', /no namespace shop/],
    ['going', 'terminating', 'error', /being deleted/],
    ['not to be seen', 'hidden', 'warning', /not allowed to read/],
  ] as const)('tells one that is %s', async (_, state, severity, message) => {
    if (state !== undefined) server.namespaces.set('shop', state);
    expect(await validate()).toMatchObject([{ severity, message: expect.stringMatching(message) }]);
  });

  it('tells one outside of the cluster’s limit, even where it cannot be seen', async () => {
    server.namespaces.set('shop', 'hidden');
    expect(await validate(['other'])).toMatchObject([
      { severity: 'error', message: expect.stringContaining('limited to other') },
      { severity: 'warning' },
    ]);
  });

  it('says once that the cluster cannot be asked', async () => {
    server.onCall = () => {
      throw new KubernetesApiError('dns', 'the name does not resolve');
    };
    expect(await validate()).toMatchObject([{ severity: 'error', hint: expect.stringContaining('reachability') }]);
  });
});
