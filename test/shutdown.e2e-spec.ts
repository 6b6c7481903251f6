import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { ApiClient, eventually } from './support/api-client.js';
import { deployment } from './support/manifests.js';
import { describeRealCluster } from './support/real-cluster.js';
import { Service } from './support/service.js';

const STREAMS = 200;

/** The text of a stream until its end, and whether that end was clean. */
async function readToEnd(response: Response): Promise<{ text: string; isClean: boolean }> {
  let text = '';
  const decoder = new TextDecoder();
  try {
    for await (const chunk of response.body ?? []) text += decoder.decode(chunk as Uint8Array, { stream: true });
    return { text, isClean: true };
  } catch (error) {
    return { text: `${text}\n${String(error)}`, isClean: false };
  }
}

describeRealCluster('stopping the service', (cluster) => {
  let service: Service;
  let api: ApiClient;
  let workflowId: string;
  let namespace: string;

  beforeEach(async () => {
    service = await Service.start({ environment: { CROWSNEST_STREAMS_PER_PRINCIPAL: '1000' } });
    api = new ApiClient(service.url);
    namespace = await cluster().createNamespace('shutdown');
    const { id: clusterId } = await api.must('POST', '/clusters?name=local', {
      body: cluster().kubeconfig(),
      contentType: 'application/yaml',
    });
    // The second node waits for the health of the first, whose pods never become ready: the run is in progress.
    const stuck = deployment('stuck', 2);
    const spec = stuck['spec'] as { template: { metadata: { labels: Record<string, string> } } };
    spec.template.metadata.labels['crowsnest.test/behave'] = 'pending';
    const body = {
      name: 'rollout',
      clusterId,
      namespace,
      nodes: [
        { id: 'stuck', manifest: stuck },
        { id: 'next', manifest: deployment('next', 1) },
      ],
      edges: [{ source: 'stuck', target: 'next', waitFor: 'healthy' }],
    };
    workflowId = String((await api.must('POST', '/workflows', { body }))['id']);
    await api.must('POST', `/workflows/${workflowId}/execute`);
    await eventually(
      () => api.must<{ items: Array<{ rollout: string | null }> }>('GET', `/resources?workflowId=${workflowId}`),
      ({ items }) => items[0]?.rollout === 'progressing',
    );
  }, 60_000);

  afterEach(() => service.dispose());

  it('ends the watchers, then every stream with its last event, then HTTP, then the database, and exits with 0', async () => {
    const responses = await Promise.all(
      Array.from({ length: STREAMS }, () => fetch(service.api(`/streams/workflows/${workflowId}`))),
    );
    expect(responses.map((response) => response.status)).toEqual(Array.from({ length: STREAMS }, () => 200));
    await eventually(
      () => api.must<{ sessions: number }>('GET', '/streams/stats'),
      ({ sessions }) => sessions === STREAMS,
    );
    const ends = Promise.all(responses.map(readToEnd));
    const begun = performance.now();
    expect(await service.end('SIGTERM')).toBe(0);
    expect(performance.now() - begun).toBeLessThan(10_000);
    const read = await ends;
    expect(read.filter(({ isClean }) => !isClean)).toEqual([]);
    expect(read.filter(({ text }) => !/\nevent: shutdown\n[^]*\n\n$/.test(text))).toEqual([]);
    const phases = service.lines.filter((line) => line.message === 'phase stopped').map((line) => line['phase']);
    expect(phases).toEqual(['watchers', 'executor', 'monitors', 'streams', 'http', 'recovery', 'database', 'store']);
    expect(service.lines.at(-1)).toMatchObject({ message: 'stopped', unstopped: [] });
  }, 60_000);

  it('goes on with the run when it is started again', async () => {
    const dataDir = service.dataDir;
    expect(await service.end('SIGTERM')).toBe(0);
    const again = await Service.start({ dataDir });
    const { items } = await new ApiClient(again.url).must<{ items: Array<{ state: string }> }>(
      'GET',
      `/workflows/${workflowId}/runs`,
    );
    expect(items).toMatchObject([{ state: 'running' }]);
    await cluster().kubectl([
      '-n',
      namespace,
      'label',
      'pods',
      '-l',
      'app=stuck',
      'crowsnest.test/behave=ready',
      '--overwrite',
    ]);
    const done = await eventually(
      () => new ApiClient(again.url).must<{ items: Array<{ state: string }> }>('GET', `/workflows/${workflowId}/runs`),
      (runs) => runs.items[0]?.state !== 'running',
    );
    expect(done.items[0]?.state).toBe('succeeded');
    expect(await again.end('SIGTERM')).toBe(0);
  }, 60_000);

  it('ends at once at a second signal', async () => {
    const frozen = fetch(service.api(`/streams/workflows/${workflowId}`));
    await frozen;
    const exited = service.exited();
    process.kill(service.pid, 'SIGTERM');
    process.kill(service.pid, 'SIGINT');
    expect(await exited).toBe(130);
  });
});
