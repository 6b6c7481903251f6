import { EgressPolicy, GuardedDialer } from '../../src/egress/index.js';
import { type ClusterAccess, type ClusterCredential, KubernetesApis } from '../../src/kubernetes/index.js';
import type { ServiceAccount } from '../../src/kubernetes/service-account.js';
import { type Clock, SystemClock } from '../../src/runtime/clock.js';

export interface TestApisOptions {
  readonly clock?: Clock;
  readonly account?: ServiceAccount;
}

/** For API servers on loopback, as a service that serves loopback only has it. Stop it in `afterAll`. */
export function testApis(options: TestApisOptions = {}): KubernetesApis {
  const clock = options.clock ?? new SystemClock();
  const policy = new EgressPolicy({ allow: [], deny: [], servesLoopbackOnly: true });
  const outsideOfPods: ServiceAccount = {
    server: () => Promise.resolve(undefined),
    read: () => Promise.reject(new Error('the test runs in no pod')),
  };
  const account = options.account ?? outsideOfPods;
  const userAgent = { value: 'crowsnest/test (test)' };
  return new KubernetesApis(new GuardedDialer(policy, clock), clock, account, userAgent);
}

interface Server {
  readonly server: string;
  readonly caCertificate: string;
}

/** The access of a test's cluster: `ClusterAccess` of the control plane has these members. */
export function accessTo(cluster: Server, credential: ClusterCredential, accessVersion = 1): ClusterAccess {
  return {
    clusterId: 'test-cluster',
    accessVersion,
    server: cluster.server,
    caData: cluster.caCertificate,
    credential,
  };
}
