import { beforeEach, describe, expect, it } from '@jest/globals';
import { FakeClusterServer, refusal } from '../../../test/support/fake-cluster-server.js';
import { storedWorkflow, TIMEOUT_MS, unaborted } from '../../../test/support/validated-workflow.js';
import { FakeClusters } from '../../../test/support/workflow-room.js';
import { AppError } from '../../errors/app-error.js';
import { KubernetesApiError } from '../../kubernetes/index.js';
import { ReachabilityValidator } from './reachability-validator.js';

describe('the validator of reachability', () => {
  let server: FakeClusterServer;
  let clusters: FakeClusters;
  let clusterId: string;
  beforeEach(() => {
    server = new FakeClusterServer();
    clusters = new FakeClusters();
    clusterId = clusters.add();
  });

  const validate = (timeoutMs = TIMEOUT_MS, apis = { forCluster: () => Promise.resolve(server) }) =>
    new ReachabilityValidator(clusters, apis).validate(
      { workflow: storedWorkflow({ clusterId }), timeoutMs },
      unaborted(),
    );

  it('tells the version of Kubernetes, asked for within its share of the time', async () => {
    expect(await validate()).toEqual({ summary: 'Kubernetes v1.36.3', problems: [] });
    await validate(2_000);
    expect(server.calls.map(({ timeoutMs }) => timeoutMs)).toEqual([5_000, 1_400]);
  });

  it('tells a cluster that is not registered any more', async () => {
    clusters.remove(clusterId);
    expect((await validate()).problems).toMatchObject([
      { severity: 'error', message: expect.stringContaining('not registered') },
    ]);
    expect(server.calls).toEqual([]);
  });

  it('tells a credential that cannot be used', async () => {
    const forCluster = () => Promise.reject(new AppError('cluster.credential_required', 'give the credential again'));
    expect((await validate(TIMEOUT_MS, { forCluster })).problems).toMatchObject([
      { message: 'give the credential again' },
    ]);
  });

  it.each([
    ['timeout', new KubernetesApiError('timeout', 'no answer within 5000 ms')],
    ['tls', new KubernetesApiError('tls', 'its certificate is not signed by the CA')],
    ['unauthorized', refusal('unauthorized', 401, 'Unauthorized')],
    ['server', refusal('server', 503, 'ServiceUnavailable')],
    ['not-kubernetes', refusal('not-found', 404, 'NotFound')],
  ])('tells why not, in the words of the checks: %s', async (code, error) => {
    server.onCall = () => {
      throw error;
    };
    const { problems } = await validate();
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatchObject({ severity: 'error' });
    if (code !== 'not-kubernetes') expect(problems[0]?.message).toContain(`(${code})`);
    else expect(problems[0]?.message).toContain('not as a Kubernetes API server');
  });

  it('warns where the version must not be read', async () => {
    server.onCall = () => {
      throw refusal('forbidden', 403, 'Forbidden');
    };
    expect((await validate()).problems).toMatchObject([{ severity: 'warning' }]);
  });
});
