import { afterAll, beforeAll, describe } from '@jest/globals';
import { ClusterAccess, type ClusterFacts } from '../control-plane/cluster-access.js';
import { type ControlPlane, type ControlPlaneOptions, startControlPlane } from '../control-plane/control-plane.js';
import { Kubelet } from '../control-plane/kubelet.js';

const startTimeoutMs = 120_000;
const sharedUrl = process.env['REAL_CLUSTER_URL'];

/**
 * A `describe` on the control plane that the whole test run shares (its kubelet obeys the label `crowsnest.test/behave` on
 * pods), skipped where its programs cannot be had. Take a namespace of your own: `await cluster().createNamespace()`.
 */
export function describeRealCluster(name: string, define: (cluster: () => ClusterAccess) => void): void {
  const suite = (): void => {
    let access: ClusterAccess | undefined;
    beforeAll(async () => {
      access = new ClusterAccess(await sharedFacts());
    }, startTimeoutMs);
    afterAll(() => access?.close());
    define(() => started(access));
  };
  describeWithPrograms(name, suite);
}

export interface OwnCluster {
  readonly controlPlane: ControlPlane;
  readonly kubelet: Kubelet;
}

/** A `describe` with a control plane and a kubelet of its own, for tests that kill, pause or restart parts of it. */
export function describeOwnCluster(
  name: string,
  define: (cluster: () => OwnCluster) => void,
  options: ControlPlaneOptions = {},
): void {
  const suite = (): void => {
    let own: OwnCluster | undefined;
    beforeAll(async () => {
      const controlPlane = await startControlPlane(options);
      const kubelet = new Kubelet(controlPlane);
      own = { controlPlane, kubelet };
      await kubelet.start();
    }, startTimeoutMs);
    afterAll(async () => {
      await own?.kubelet.stop();
      await own?.controlPlane.stop();
    });
    define(() => started(own));
  };
  describeWithPrograms(name, suite);
}

/** The setup has told why they are skipped, and has refused to begin where that is not allowed. */
function describeWithPrograms(name: string, suite: () => void): void {
  if (sharedUrl === undefined && process.env['CI'] === 'true') {
    throw new Error('real-cluster specs need the globalSetup test/support/real-cluster-setup.ts of the e2e project');
  }
  (sharedUrl === undefined ? describe.skip : describe)(name, suite);
}

async function sharedFacts(): Promise<ClusterFacts> {
  if (sharedUrl === undefined) throw new Error('there is no shared control plane in this run');
  const answer = await fetch(sharedUrl);
  if (!answer.ok) throw new Error(await answer.text());
  return (await answer.json()) as ClusterFacts;
}

function started<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('the cluster is there only inside tests and hooks');
  return value;
}
