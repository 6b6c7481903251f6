import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { findAssets } from './assets.ts';
import { type ControlPlane, startControlPlane } from './control-plane.ts';
import { Kubelet } from './kubelet.ts';
import { behaviourKey, podBehaviours } from './pod-behaviour.ts';
import { storyLines, storyManifest } from './story.ts';

/** `npm run cluster`: a cluster to try Crowsnest with, until Ctrl-C. */
const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    'data-dir': { type: 'string' },
    api: { type: 'string', default: 'http://127.0.0.1:3000/api/v1' },
  },
});

const log = (line: string): void => void process.stderr.write(`${line}\n`);
const found = await findAssets({ log });
if ('reason' in found) {
  log(`no cluster can be started: ${found.reason}`);
  process.exit(1);
}

let stopRequested = false;
let wake: () => void = () => undefined;
const stopped = new Promise<void>((resolve) => (wake = resolve));
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    // A second signal ends it at once; the watchdog removes what is left.
    if (stopRequested) process.exit(1);
    stopRequested = true;
    wake();
  });
}
// Keeps the process alive until a signal comes.
const alive = setInterval(() => undefined, 60_000);

const controlPlane = await startControlPlane({
  assets: found.assets,
  log,
  ...(values.port === undefined ? {} : { port: Number(values.port) }),
  ...(values['data-dir'] === undefined ? {} : { dataDir: values['data-dir'] }),
});
const kubelet = new Kubelet(controlPlane, { log });
await kubelet.start();
if (!stopRequested) describeTo(controlPlane);
await stopped;

log('\nstopping ...');
clearInterval(alive);
await kubelet.stop();
await controlPlane.stop();
log('stopped, nothing is left');

function describeTo(plane: ControlPlane): void {
  const { directory, assets } = plane.facts;
  const manifestFile = join(directory, 'web.yaml');
  writeFileSync(manifestFile, storyManifest);
  const lines = storyLines({
    api: values.api,
    kubeconfigFile: plane.adminKubeconfigFile,
    manifestFile,
    kubectl: join(assets, 'kubectl'),
  });
  process.stdout.write(`
cluster     ${plane.server}
kubeconfig  ${plane.adminKubeconfigFile}
logs        ${join(directory, 'logs')}

With Crowsnest started (npm start), paste these lines one after another into another terminal:

${lines.join('\n')}

${behaviourKey} on a pod is one of: ${podBehaviours.join(', ')}.
Ctrl-C stops the cluster and removes everything it wrote.
`);
}
