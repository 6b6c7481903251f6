// Memory that watched pods take, in a process of its own with --expose-gc --no-flush-bytecode. Arguments: `reflector` (the service's) or `informer`
// (@kubernetes/client-node's), server, CA file, namespace, number of pods. Prints bytes per pod, of the heap and of what V8 holds outside.
import { setImmediate, setTimeout as delay } from 'node:timers/promises';
import { readFileSync } from 'node:fs';

const [side, server = '', caFile = '', namespace = '', count = ''] = process.argv.slice(2);
const caCertificate = readFileSync(caFile, 'utf8');
const pods = Number(count);
/** As many pods again, listed before: what the first list makes V8 build once belongs to the base. */
const WARM_UP = 'warm-up';

type Dist<Module> = Promise<Module>;
const built = (file: string): string => new URL(`../../dist/${file}.js`, import.meta.url).href;

interface Watched {
  watch(namespace: string): void;
  count(namespace: string): number;
}

async function reflector(): Promise<Watched> {
  const { ClusterWatches } = await (import(built('watchers/cluster-watches')) as Dist<
    typeof import('../../src/watchers/cluster-watches.ts')
  >);
  const { KubernetesWatchSource } = await (import(built('watchers/reflector/kubernetes-watch-source')) as Dist<
    typeof import('../../src/watchers/reflector/kubernetes-watch-source.ts')
  >);
  const { KubernetesApis } = await (import(built('kubernetes/index')) as Dist<
    typeof import('../../src/kubernetes/index.ts')
  >);
  const { EgressPolicy, GuardedDialer } = await (import(built('egress/index')) as Dist<
    typeof import('../../src/egress/index.ts')
  >);
  const { SystemClock } = await (import(built('runtime/clock')) as Dist<typeof import('../../src/runtime/clock.ts')>);
  const { CryptoRandom } = await (import(built('runtime/random')) as Dist<
    typeof import('../../src/runtime/random.ts')
  >);

  const clock = new SystemClock();
  const policy = new EgressPolicy({ allow: [], deny: [], servesLoopbackOnly: true });
  const account = { server: () => Promise.resolve(undefined), read: () => Promise.reject(new Error('no pod')) };
  const apis = new KubernetesApis(new GuardedDialer(policy, clock), clock, account, { value: 'bench' });
  const credential = { type: 'token', token: 'bench' } as const;
  const api = apis.open({ clusterId: 'bench', accessVersion: 1, server, caData: caCertificate, credential });
  const watches = new ClusterWatches({
    source: new KubernetesWatchSource(() => Promise.resolve(api)),
    listener: { touched: () => undefined, listed: () => undefined, statusChanged: () => undefined },
    clock,
    random: new CryptoRandom(),
    // The defaults of src/watchers/watchers.config.ts.
    timing: {
      backoffBaseMs: 5_000,
      backoffMaxMs: 60_000,
      backoffResetMs: 120_000,
      firstRetryMs: 1_000,
      forbiddenRetryMaxMs: 300_000,
      listPageSize: 500,
      watchTimeoutMs: 300_000,
    },
    probePeriodMs: 2_000,
    listsInFlight: 4,
  });
  const wanted: string[] = [];
  return {
    watch: (name) => {
      wanted.push(name);
      watches.reconcile(wanted.map((each) => ({ kind: 'Pod', namespace: each, namespaces: new Set([each]) })));
    },
    count: (name) => [...watches.index.inNamespace('Pod', name)].length,
  };
}

async function informer(): Promise<Watched> {
  const { CoreV1Api, KubeConfig, makeInformer } = await import('@kubernetes/client-node');
  const config = new KubeConfig();
  config.loadFromOptions({
    clusters: [{ name: 'bench', server, caData: Buffer.from(caCertificate).toString('base64') }],
    users: [{ name: 'bench', token: 'bench' }],
    contexts: [{ name: 'bench', cluster: 'bench', user: 'bench' }],
    currentContext: 'bench',
  });
  const api = config.makeApiClient(CoreV1Api);
  const informers = new Map<string, { list(namespace?: string): readonly unknown[] }>();
  return {
    watch: (name) => {
      const path = `/api/v1/namespaces/${name}/pods`;
      const started = makeInformer(config, path, () => api.listNamespacedPod({ namespace: name }));
      informers.set(name, started);
      started.on('error', (error: unknown) => {
        throw error;
      });
      void started.start();
    },
    count: (name) => informers.get(name)?.list(name).length ?? 0,
  };
}

/** Bytes in use after collections. */
async function settled(): Promise<number> {
  for (let i = 0; i < 5; i++) {
    await delay(100);
    await setImmediate();
    globalThis.gc?.();
  }
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

async function listed(watched: Watched, name: string, expected: number): Promise<void> {
  watched.watch(name);
  for (let tries = 0; watched.count(name) < expected; tries++) {
    if (tries > 600) throw new Error(`${watched.count(name)} of ${expected} pods were listed`);
    await delay(100);
  }
}

const watched = side === 'reflector' ? await reflector() : await informer();
await listed(watched, WARM_UP, pods);
const before = await settled();
await listed(watched, namespace, pods);
const after = await settled();
process.stdout.write(`${(after - before) / pods}\n`);
process.exit(0);
