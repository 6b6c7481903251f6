import { findAssets } from '../control-plane/assets.ts';
import { SharedControlPlane } from './shared-control-plane.ts';

declare global {
  // Jest's setup and teardown share nothing else.
  var sharedControlPlane: SharedControlPlane | undefined;
}

/**
 * Jest's globalSetup of the e2e project: finds the control plane's programs and offers one control plane to all spec files.
 * @throws in CI when there are none: there, skipped real-cluster tests are a failure.
 */
// oxlint-disable-next-line import/no-default-export -- Jest asks for it
export default async function setUpRealCluster(): Promise<void> {
  const say = (line: string): void => void process.stderr.write(`${line}\n`);
  const found = await findAssets({ log: say });
  if ('reason' in found) {
    const message = `real-cluster tests cannot run: ${found.reason}`;
    if (process.env['CI'] === 'true') throw new Error(message);
    say(`${message}; they are skipped`);
    return;
  }
  process.env['KUBEBUILDER_ASSETS'] = found.assets;
  globalThis.sharedControlPlane = new SharedControlPlane(found.assets);
  process.env['REAL_CLUSTER_URL'] = await globalThis.sharedControlPlane.start();
}
