import { beforeAll, describe, expect, it } from '@jest/globals';
import type { V1Deployment, V1Job, V1Pod, V1PodList, V2HorizontalPodAutoscaler } from '@kubernetes/client-node';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { startControlPlane } from './control-plane/control-plane.js';
import { describeOwnCluster, describeRealCluster } from './support/real-cluster.js';

const timeoutMs = 60_000;

function deployment(name: string, replicas: number): V1Deployment {
  const labels = { app: name };
  return {
    apiVersion: 'apps/v1',
    kind: 'Deployment',
    metadata: { name },
    spec: {
      replicas,
      selector: { matchLabels: labels },
      template: { metadata: { labels }, spec: { containers: [{ name: 'app', image: 'example.test/app:1' }] } },
    },
  };
}

describeRealCluster('the shared control plane', (cluster) => {
  let namespace: string;
  const core = (rest: string): string => `/api/v1/namespaces/${namespace}/${rest}`;
  const apps = (rest: string): string => `/apis/apps/v1/namespaces/${namespace}/${rest}`;

  beforeAll(async () => {
    namespace = await cluster().createNamespace('plane');
  }, timeoutMs);

  async function readyDeployment(name: string, replicas: number): Promise<void> {
    expect((await cluster().request('POST', apps('deployments'), deployment(name, replicas))).status).toBe(201);
    await cluster().eventually<V1Deployment>(
      apps(`deployments/${name}`),
      (one) => one?.status?.readyReplicas === replicas && one.status.availableReplicas === replicas,
    );
  }

  async function podsOf(app: string): Promise<V1Pod[]> {
    const answer = await cluster().request<V1PodList>('GET', core(`pods?labelSelector=app%3D${app}`));
    return answer.body.items;
  }

  it(
    'makes a Deployment of 2 ready through its own controllers',
    async () => {
      await readyDeployment('web', 2);
      const pods = await podsOf('web');
      expect(pods.map((pod) => pod.status?.phase)).toEqual(['Running', 'Running']);
      expect(new Set(pods.map((pod) => pod.status?.podIP)).size).toBe(2);
    },
    timeoutMs,
  );

  it(
    'crashes a labelled pod again and again, and lets it recover',
    async () => {
      await readyDeployment('shaky', 1);
      const [pod] = await podsOf('shaky');
      const name = pod?.metadata?.name ?? '';
      await cluster().kubectl(['-n', namespace, 'label', 'pod', name, 'crowsnest.test/behave=crash-loop']);
      const crashed = await cluster().eventually<V1Pod>(
        core(`pods/${name}`),
        (one) => (one?.status?.containerStatuses?.[0]?.restartCount ?? 0) >= 2,
      );
      const container = crashed?.status?.containerStatuses?.[0];
      expect(container?.state?.waiting?.reason).toBe('CrashLoopBackOff');
      expect(container?.lastState?.terminated?.exitCode).toBe(1);
      await cluster().eventually<V1Deployment>(apps('deployments/shaky'), (one) => !one?.status?.readyReplicas);

      await cluster().kubectl(['-n', namespace, 'label', 'pod', name, 'crowsnest.test/behave-']);
      await cluster().eventually<V1Deployment>(apps('deployments/shaky'), (one) => one?.status?.readyReplicas === 1);
    },
    timeoutMs,
  );

  it(
    'binds a claim and completes a Job that uses it',
    async () => {
      const claim = {
        apiVersion: 'v1',
        kind: 'PersistentVolumeClaim',
        metadata: { name: 'data' },
        spec: { accessModes: ['ReadWriteOnce'], resources: { requests: { storage: '1Gi' } } },
      };
      const container = {
        name: 'main',
        image: 'example.test/job:1',
        volumeMounts: [{ name: 'data', mountPath: '/data' }],
      };
      const volumes = [{ name: 'data', persistentVolumeClaim: { claimName: 'data' } }];
      const template = { spec: { restartPolicy: 'Never', containers: [container], volumes } };
      const job = { apiVersion: 'batch/v1', kind: 'Job', metadata: { name: 'once' }, spec: { template } };
      const jobs = `/apis/batch/v1/namespaces/${namespace}/jobs`;
      expect((await cluster().request('POST', core('persistentvolumeclaims'), claim)).status).toBe(201);
      expect((await cluster().request('POST', jobs, job)).status).toBe(201);
      await cluster().eventually<V1Job>(`${jobs}/once`, (one) => one?.status?.succeeded === 1);
      const bound = await cluster().request('GET', core('persistentvolumeclaims/data'));
      expect(bound.body).toMatchObject({ status: { phase: 'Bound' } });
    },
    timeoutMs,
  );

  it(
    'finishes the deletion of pods',
    async () => {
      await readyDeployment('short', 1);
      const [pod] = await podsOf('short');
      await cluster().request('DELETE', apps('deployments/short'));
      await cluster().eventually<V1Pod>(core(`pods/${pod?.metadata?.name ?? ''}`), (one) => one === undefined);
    },
    timeoutMs,
  );

  it(
    "reports an autoscaler's target",
    async () => {
      await readyDeployment('scaled', 2);
      const path = `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers`;
      const target = { apiVersion: 'apps/v1', kind: 'Deployment', name: 'scaled' };
      await cluster().request('POST', path, {
        apiVersion: 'autoscaling/v2',
        kind: 'HorizontalPodAutoscaler',
        metadata: { name: 'scaled' },
        spec: { maxReplicas: 5, scaleTargetRef: target },
      });
      const replicas = (count: number) => (one?: V2HorizontalPodAutoscaler) => one?.status?.currentReplicas === count;
      await cluster().eventually(`${path}/scaled`, replicas(2));
      await cluster().kubectl(['-n', namespace, 'scale', 'deployment/scaled', '--replicas=3']);
      await cluster().eventually(`${path}/scaled`, replicas(3));
    },
    timeoutMs,
  );

  describe('users', () => {
    it('knows a client certificate by its name and groups', async () => {
      const kubeconfig = cluster().kubeconfig({ name: 'carol', groups: ['team/x', 'plus+y'] });
      const whoami = await cluster().kubectl(['auth', 'whoami', '-o', 'json'], undefined, kubeconfig);
      expect(JSON.parse(whoami)).toMatchObject({
        status: { userInfo: { username: 'carol', groups: ['team/x', 'plus+y', 'system:authenticated'] } },
      });
    });

    it('gives alice no right until one is bound', async () => {
      const kubeconfig = cluster().kubeconfig({ name: 'alice', token: cluster().facts.tokens.alice });
      await expect(cluster().kubectl(['-n', namespace, 'get', 'pods'], undefined, kubeconfig)).rejects.toThrow(
        /User "alice" cannot list resource "pods"/,
      );
    });

    it('issues ServiceAccount tokens that it accepts', async () => {
      const token = (await cluster().kubectl(['-n', namespace, 'create', 'token', 'default'])).trim();
      const kubeconfig = cluster().kubeconfig({ name: 'account', token });
      const whoami = await cluster().kubectl(['auth', 'whoami', '-o', 'json'], undefined, kubeconfig);
      expect(JSON.parse(whoami)).toMatchObject({
        status: { userInfo: { username: `system:serviceaccount:${namespace}:default` } },
      });
    });
  });
});

describeOwnCluster('an own control plane', (cluster) => {
  it(
    'has its API server killed and restarted on its port with its data',
    async () => {
      const { controlPlane, kubelet } = cluster();
      const path = '/apis/apps/v1/namespaces/default/deployments';
      kubelet.behave((pod) => pod.metadata?.labels?.['app'] === 'broken', 'image-pull-back-off');
      await controlPlane.request('POST', path, deployment('kept', 1));
      await controlPlane.eventually<V1Deployment>(`${path}/kept`, (one) => one?.status?.readyReplicas === 1);
      const server = controlPlane.server;

      await controlPlane.kill('kube-apiserver');
      expect(controlPlane.isRunning('kube-apiserver')).toBe(false);
      await expect(controlPlane.request('GET', '/version')).rejects.toThrow();

      await controlPlane.restart('kube-apiserver');
      expect(controlPlane.server).toBe(server);
      const kept = await controlPlane.request('GET', `${path}/kept`);
      expect(kept).toMatchObject({ status: 200, body: { status: { readyReplicas: 1 } } });

      // Controllers and the kubelet have come back too.
      await controlPlane.request('POST', path, deployment('later', 1));
      await controlPlane.eventually<V1Deployment>(`${path}/later`, (one) => one?.status?.readyReplicas === 1);
      await controlPlane.request('POST', path, deployment('broken', 1));
      await controlPlane.eventually<V1PodList>('/api/v1/namespaces/default/pods?labelSelector=app%3Dbroken', (list) =>
        Boolean(list?.items.some((pod) => reasonOf(pod) === 'ImagePullBackOff')),
      );
    },
    timeoutMs,
  );

  it(
    'freezes and goes on',
    async () => {
      const { controlPlane } = cluster();
      controlPlane.pause('kube-apiserver');
      const answer = controlPlane.request('GET', '/version');
      const first = await Promise.race([answer.then(() => 'answered'), delay(300, 'silent')]);
      controlPlane.resume('kube-apiserver');
      expect(first).toBe('silent');
      expect((await answer).status).toBe(200);
    },
    timeoutMs,
  );

  it(
    'keeps its data, port and users in a folder it is given',
    async () => {
      const dataDir = mkdtempSync(join(tmpdir(), 'crowsnest-kept-'));
      const first = await startControlPlane({ dataDir });
      await first.request('POST', '/api/v1/namespaces', { metadata: { name: 'kept' } });
      const kubeconfig = first.kubeconfig({ name: 'dora', groups: ['system:masters'] });
      await first.stop();

      const second = await startControlPlane({ dataDir, port: Number(new URL(first.server).port) });
      expect(await second.kubectl(['get', 'namespace', 'kept', '-o', 'name'], undefined, kubeconfig)).toBe(
        'namespace/kept\n',
      );
      await second.stop();
      rmSync(dataDir, { recursive: true });
    },
    timeoutMs,
  );

  it(
    'leaves no process and no folder behind when its owner is killed',
    async () => {
      const script = `
        import { startControlPlane } from ${JSON.stringify(join(process.cwd(), 'test/control-plane/control-plane.ts'))};
        const plane = await startControlPlane();
        process.send(plane.facts.directory);
        setInterval(() => undefined, 1000);`;
      const owner = spawn('node', ['--input-type=module', '-e', script], {
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        env: { ...process.env, NODE_OPTIONS: '' },
      });
      const [directory] = (await once(owner, 'message')) as [string];
      const pids = readdirSync(join(directory, 'pids')).map(Number);
      expect(pids).toHaveLength(4);

      owner.kill('SIGKILL');
      await once(owner, 'exit');
      while (existsSync(directory) || pids.some(isAlive)) await delay(50);
    },
    timeoutMs,
  );
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

function reasonOf(pod: V1Pod): string | undefined {
  return pod.status?.containerStatuses?.[0]?.state?.waiting?.reason;
}
