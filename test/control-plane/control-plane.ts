import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { findAssets } from './assets.ts';
import { ensureServiceAccountKeys } from './certificate-authority.ts';
import { ClusterAccess, type ClusterFacts } from './cluster-access.ts';
import { type Component, type ComponentArguments, componentArguments } from './component-arguments.ts';
import { freePort } from './free-port.ts';
import { ManagedProcess } from './managed-process.ts';
import { Watchdog } from './watchdog.ts';

export interface ControlPlaneOptions {
  /** Folder of the programs; found or built by `findAssets` without it. */
  readonly assets?: string;
  /** Port of the API server; a free one without it. */
  readonly port?: number;
  /** Kept after `stop` and used again by the next start; without it a temporary one, removed by `stop`. */
  readonly dataDir?: string;
  /** Further flags of the API server, such as `--http2-max-streams-per-connection=10`. */
  readonly apiServerArgs?: readonly string[];
  readonly log?: (line: string) => void;
}

/** etcd, kube-apiserver, kube-controller-manager and kube-scheduler on 127.0.0.1, owned by this process. */
export class ControlPlane extends ClusterAccess {
  private readonly processes: ReadonlyMap<Component, ManagedProcess>;
  private readonly watchdog: Watchdog;
  private readonly temporary: boolean;

  constructor(
    facts: ClusterFacts,
    processes: ReadonlyMap<Component, ManagedProcess>,
    watchdog: Watchdog,
    temporary: boolean,
  ) {
    super(facts);
    this.processes = processes;
    this.watchdog = watchdog;
    this.temporary = temporary;
  }

  /** kill -9 unless another signal is given; resolves when the process is gone. */
  kill(component: Component, signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    return this.process(component).kill(signal);
  }

  /** Kills the component if it runs and starts it again, on its port with its data; resolves when it is ready. */
  async restart(component: Component): Promise<void> {
    await this.kill(component);
    await this.process(component).start();
  }

  /** Freezes the process (SIGSTOP): connections stay open and nothing answers. */
  pause(component: Component): void {
    this.process(component).signal('SIGSTOP');
  }

  resume(component: Component): void {
    this.process(component).signal('SIGCONT');
  }

  isRunning(component: Component): boolean {
    return this.process(component).isRunning();
  }

  /** Ends all processes and removes the temporary folder. */
  async stop(): Promise<void> {
    await this.close();
    for (const name of ['kube-scheduler', 'kube-controller-manager', 'kube-apiserver'] as const) await this.kill(name);
    await this.kill('etcd', this.temporary ? 'SIGKILL' : 'SIGTERM');
    await this.watchdog.stop();
    if (this.temporary) rmSync(this.facts.directory, { recursive: true, force: true });
  }

  private process(component: Component): ManagedProcess {
    const found = this.processes.get(component);
    if (!found) throw new Error(`the control plane has no ${component}`);
    return found;
  }
}

/** @throws Error that says what is missing, or the end of the log of the program that did not start. */
export async function startControlPlane(options: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const log = options.log ?? (() => undefined);
  const assets = options.assets ?? (await requireAssets(log));
  const directory = options.dataDir ?? mkdtempSync(join(tmpdir(), 'crowsnest-control-plane-'));
  const port = options.port ?? (await freePort());
  const facts: ClusterFacts = {
    server: `https://127.0.0.1:${port}`,
    directory,
    assets,
    tokens: ensureTokens(directory),
  };
  const watchdog = new Watchdog(directory, { keepDirectory: options.dataDir !== undefined });
  const processes = new Map<Component, ManagedProcess>();
  const plane = new ControlPlane(facts, processes, watchdog, options.dataDir === undefined);
  try {
    writeFileSync(plane.adminKubeconfigFile, plane.kubeconfig(), { mode: 0o600 });
    const settings = await prepare(plane, port);
    const ready: Record<Component, () => Promise<boolean>> = {
      etcd: () => isHealthy(`${settings.etcdUrl}/health`),
      'kube-apiserver': () => answersOk(plane, '/readyz'),
      'kube-controller-manager': () => answersOk(plane, '/api/v1/namespaces/default/serviceaccounts/default'),
      'kube-scheduler': () => Promise.resolve(true),
    };
    for (const [name, args] of Object.entries(componentArguments(settings)) as [Component, string[]][]) {
      const managed = new ManagedProcess({
        name,
        args: name === 'kube-apiserver' ? [...args, ...(options.apiServerArgs ?? [])] : args,
        watchdog,
        command: join(assets, name),
        logFile: join(directory, 'logs', `${name}.log`),
        isReady: ready[name],
      });
      processes.set(name, managed);
      const began = performance.now();
      await managed.start();
      log(`${name} is ready after ${Math.round(performance.now() - began)} ms`);
    }
    return plane;
  } catch (error) {
    for (const managed of processes.values()) await managed.kill();
    await watchdog.stop();
    if (options.dataDir === undefined) rmSync(directory, { recursive: true, force: true });
    throw error;
  }
}

async function requireAssets(log: (line: string) => void): Promise<string> {
  const found = await findAssets({ log });
  if ('reason' in found) throw new Error(`no control plane to start: ${found.reason}`);
  return found.assets;
}

async function prepare(plane: ControlPlane, port: number): Promise<ComponentArguments> {
  const { directory } = plane.facts;
  const pki = join(directory, 'pki');
  mkdirSync(join(directory, 'logs'), { recursive: true });
  const serving = plane.authority.issue({
    commonName: 'kube-apiserver',
    usage: 'serverAuth',
    alternativeNames: ['DNS:localhost', 'IP:127.0.0.1', 'DNS:kubernetes.default.svc', 'IP:10.0.0.1'],
  });
  const servingCertificateFile = join(pki, 'serving.crt');
  const servingKeyFile = join(pki, 'serving.key');
  writeFileSync(servingCertificateFile, serving.certificate);
  writeFileSync(servingKeyFile, serving.key, { mode: 0o600 });
  const serviceAccountKeys = ensureServiceAccountKeys(pki);
  return {
    directory,
    port,
    etcdUrl: `http://127.0.0.1:${await freePort()}`,
    caFile: plane.authority.certificateFile,
    tokenFile: join(directory, 'tokens.csv'),
    kubeconfigFile: plane.adminKubeconfigFile,
    servingCertificateFile,
    servingKeyFile,
    serviceAccountKeyFile: serviceAccountKeys.privateKeyFile,
    serviceAccountPublicKeyFile: serviceAccountKeys.publicKeyFile,
  };
}

/** The API server's static token file: token,user,uid,"groups" a line. */
function ensureTokens(directory: string): ClusterFacts['tokens'] {
  const file = join(directory, 'tokens.csv');
  if (!existsSync(file)) {
    const line = (user: string, groups: string): string =>
      `${randomBytes(24).toString('hex')},${user},${user},"${groups}"\n`;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const lines = [line('admin', 'system:masters'), line('alice', 'team-a'), line('bob', 'team-b')];
    writeFileSync(file, lines.join(''), { mode: 0o600 });
  }
  const [admin, alice, bob] = readFileSync(file, 'utf8')
    .split('\n')
    .map((line) => line.split(',')[0]);
  if (!admin || !alice || !bob) throw new Error(`${file} does not hold the tokens of admin, alice and bob`);
  return { admin, alice, bob };
}

async function isHealthy(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url);
    return answer.ok && ((await answer.json()) as { health?: string }).health === 'true';
  } catch {
    return false;
  }
}

async function answersOk(plane: ClusterAccess, path: string): Promise<boolean> {
  try {
    return (await plane.request('GET', path)).status === 200;
  } catch {
    await delay(50);
    return false;
  }
}
