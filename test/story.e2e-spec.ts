import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { everyKind } from './support/manifests.js';
import { describeRealCluster } from './support/real-cluster.js';
import { Service } from './support/service.js';
import { type ReceivedEvent, StreamClient } from './support/stream-client.js';

interface Resource {
  readonly id: string;
  readonly nodeId: string;
  readonly kind: string;
  readonly health: string;
  readonly rollout: string | null;
  readonly reason: string | null;
  readonly message: string | null;
  readonly previous: string | null;
  readonly details: Record<string, unknown>;
}

interface Run {
  readonly id: string;
  readonly state: string;
  readonly nodes: Array<{ readonly nodeId: string; readonly outcome: string }>;
}

interface Snapshot {
  readonly last: boolean;
  readonly items: Array<{ readonly eventType: string; readonly data: Resource }>;
}

const GOOD = new Set(['healthy', 'completed']);

/** The newest state of each node that the stream has told, from its snapshot and its changes. */
function nodesOf(events: readonly ReceivedEvent[]): Map<string, Resource> {
  const nodes = new Map<string, Resource>();
  for (const { event, envelope } of events) {
    if (event === 'snapshot') {
      for (const item of (envelope.data as unknown as Snapshot).items) {
        if (item.eventType === 'node_update') nodes.set(item.data.nodeId, item.data);
      }
    }
    if (event === 'node_update') nodes.set(String(envelope.data['nodeId']), envelope.data as unknown as Resource);
  }
  return nodes;
}

/** The embedded store, and the server of TEST_MONGODB_URI where there is one: the code is the same. */
const STORES: ReadonlyArray<readonly [name: string, environment: Record<string, string>]> = [
  ['the embedded store', {}],
  ...serverOf(process.env['TEST_MONGODB_URI']),
];

function serverOf(uri: string | undefined): Array<[string, Record<string, string>]> {
  if (uri === undefined) return [];
  const database = `story-${randomBytes(4).toString('hex')}`;
  const environment = {
    MONGODB_URI: new URL(database, uri).href,
    CROWSNEST_SEALING_KEY: randomBytes(32).toString('base64'),
  };
  return [['a MongoDB server', environment]];
}

// The tests of each story are its chapters and run in their order.
for (const [store, environment] of STORES)
  describeRealCluster(`the main story on ${store}`, (cluster) => {
    const nodes = everyKind();
    let service: Service;
    let api: ApiClient;
    let stream: StreamClient;
    let namespace: string;
    let clusterId: string;
    let workflowId: string;

    const nodeUpdate = (nodeId: string, isWanted: (resource: Resource) => boolean, from: number) =>
      stream.waitFor(
        ({ event, envelope }) =>
          event === 'node_update' &&
          envelope.data['nodeId'] === nodeId &&
          isWanted(envelope.data as unknown as Resource),
        30_000,
        from,
      );
    const execute = async (): Promise<Run> => {
      const { id } = await api.must<Run>('POST', `/workflows/${workflowId}/execute`);
      return eventually(
        () => api.must<Run>('GET', `/workflows/${workflowId}/runs/${id}`),
        (run) => run.state !== 'running',
      );
    };

    beforeAll(async () => {
      service = await Service.start({ environment });
      api = new ApiClient(service.url);
      namespace = await cluster().createNamespace('story');
    }, 60_000);

    afterAll(async () => {
      stream?.close();
      await service?.dispose();
    });

    it('registers the cluster by its kubeconfig and tells its state at once', async () => {
      const created = await api.must('POST', '/clusters?name=local', {
        body: cluster().kubeconfig(),
        contentType: 'application/yaml',
      });
      expect(created).toMatchObject({
        name: 'local',
        reachable: true,
        version: 1,
        credentialType: 'client-certificate',
      });
      expect(JSON.stringify(created)).not.toContain('PRIVATE KEY');
      clusterId = String(created['id']);
    });

    it('creates a workflow with a node of every kind', async () => {
      const body = { name: 'story', clusterId, namespace, nodes };
      const created = await api.must('POST', '/workflows', { body });
      expect(created).toMatchObject({ name: 'story', health: null, counts: {}, state: 'active' });
      workflowId = String(created['id']);
    });

    it('executes it and streams every node to healthy', async () => {
      stream = new StreamClient(service.api(`/streams/workflows/${workflowId}`));
      await stream.waitFor(({ event }) => event === 'snapshot');
      const run = await execute();
      expect(run.nodes.filter((node) => node.outcome !== 'created')).toEqual([]);
      expect(run.state).toBe('succeeded');
      await stream.waitFor(() => {
        const known = nodesOf(stream.events);
        return nodes.every((node) => GOOD.has(known.get(node.id)?.health ?? ''));
      }, 60_000);
      const workflow = await eventually(
        () => api.must('GET', `/workflows/${workflowId}`),
        ({ health }) => health === 'healthy',
      );
      expect(workflow).toMatchObject({ counts: { healthy: 13, completed: 1 }, lastRun: { state: 'succeeded' } });
    }, 90_000);

    it('shows a stream that is opened later the same state in its snapshot', async () => {
      const late = new StreamClient(service.api(`/streams/workflows/${workflowId}`));
      await late.waitFor(({ event, envelope }) => event === 'snapshot' && envelope.data['last'] === true);
      const shown = nodesOf(late.events);
      late.close();
      const stored = await api.must<{ items: Resource[] }>('GET', `/resources?workflowId=${workflowId}&limit=200`);
      expect(shown.size).toBe(nodes.length);
      expect(Object.fromEntries(stored.items.map((item) => [item.nodeId, item]))).toEqual(Object.fromEntries(shown));
    });

    it('applies nothing again when nothing changed', async () => {
      const run = await execute();
      expect(run.nodes.filter((node) => node.outcome !== 'unchanged')).toEqual([]);
      expect(run.state).toBe('succeeded');
    }, 60_000);

    it('shows a scaling by another client, and yields the replicas to it', async () => {
      const from = stream.events.length;
      await cluster().kubectl(['-n', namespace, 'scale', 'deployment/web', '--replicas=3']);
      const { envelope } = await nodeUpdate(
        'web',
        ({ rollout, details }) => rollout === 'complete' && details['ready'] === 3,
        from,
      );
      expect(envelope.data['health']).toBe('healthy');
      const run = await execute();
      expect(run.nodes.find((node) => node.nodeId === 'web')).toMatchObject({ outcome: 'unchanged' });
      const scaled = await cluster().request<{ spec: { replicas: number } }>(
        'GET',
        `/apis/apps/v1/namespaces/${namespace}/deployments/web`,
      );
      expect(scaled.body.spec.replicas).toBe(3);
    }, 60_000);

    it('shows a crashing pod as the reason of its degraded Deployment, and the recovery', async () => {
      const from = stream.events.length;
      await cluster().kubectl(['-n', namespace, 'label', 'pods', '-l', 'app=web', 'crowsnest.test/behave=crash-loop']);
      const { envelope } = await nodeUpdate('web', ({ reason }) => reason === 'CrashLoopBackOff', from);
      expect(envelope.data).toMatchObject({ health: 'degraded', previous: 'healthy' });
      expect(String(envelope.data['message'])).toContain('container app');
      await cluster().kubectl(['-n', namespace, 'label', 'pods', '-l', 'app=web', 'crowsnest.test/behave-']);
      const recovered = await nodeUpdate('web', ({ health }) => health === 'healthy', from);
      expect(recovered.envelope.data['previous']).not.toBe('healthy');
    }, 60_000);

    it('shows a resource that was deleted behind our back as missing, with its history', async () => {
      const from = stream.events.length;
      await cluster().kubectl(['-n', namespace, 'delete', 'service/front', '--wait=false']);
      const { envelope } = await nodeUpdate('front', ({ health }) => health === 'missing', from);
      const history = await api.must<{ items: Array<{ health: string }> }>(
        'GET',
        `/resources/${String(envelope.data['id'])}/history`,
      );
      expect(history.items.map((item) => item.health).slice(0, 2)).toEqual(['missing', 'healthy']);
    }, 60_000);

    it('archives with deletion: the objects and the watchers are gone', async () => {
      const accepted = await api.must<Run>('POST', `/workflows/${workflowId}/archive`, {
        body: { resources: 'delete' },
      });
      const run = await eventually(
        () => api.must<Run>('GET', `/workflows/${workflowId}/runs/${accepted.id}`),
        ({ state }) => state !== 'running',
        60_000,
      );
      expect(run.nodes.filter((node) => node.outcome !== 'deleted')).toEqual([]);
      expect(run.state).toBe('succeeded');
      const left = await cluster().kubectl([
        '-n',
        namespace,
        'get',
        'deploy,svc,sts,ds,job,cronjob,ing,secret,pvc,pod,rs,hpa,netpol',
        '-o',
        'name',
      ]);
      expect(left.trim()).toBe('');
      const watchers = await eventually(
        () => api.must<{ items: unknown[] }>('GET', `/watchers`),
        ({ items }) => items.length === 0,
      );
      expect(watchers.items).toEqual([]);
      expect(await api.must('GET', `/workflows/${workflowId}`)).toMatchObject({ state: 'archived' });
    }, 90_000);

    it('ends with exit code 0', async () => {
      stream.close();
      expect(await service.end('SIGTERM')).toBe(0);
    });
  });
