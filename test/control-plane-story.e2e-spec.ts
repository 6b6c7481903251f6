import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { V1Deployment } from '@kubernetes/client-node';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { storyLines, storyManifest } from './control-plane/story.js';
import { describeRealCluster } from './support/real-cluster.js';

const clusterId = 'c'.repeat(24);
const workflowId = 'f'.repeat(24);

interface Call {
  readonly target: string;
  readonly contentType: string | undefined;
  readonly body: string;
}

describeRealCluster('the lines that npm run cluster prints', (cluster) => {
  const calls: Call[] = [];
  let server: Server;

  /** Stands in for the service: answers with ids, holds the stream open, and deploys on execute. */
  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const target = `${request.method ?? ''} ${request.url ?? ''}`;
    const body = await text(request);
    calls.push({ target, contentType: request.headers['content-type'], body });
    if (target.includes('/streams/')) {
      response.write('event: snapshot\n\n');
      return;
    }
    if (target.endsWith('/execute')) await cluster().kubectl(['apply', '-f', '-'], storyManifest);
    response.end(JSON.stringify({ id: target.includes('/clusters') ? clusterId : workflowId }));
  }

  beforeAll(async () => {
    server = createServer((request, response) => void answer(request, response));
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
  });

  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
    await cluster().kubectl(['delete', 'deployment/web', 'service/web', '--ignore-not-found']);
  });

  it('work when pasted into sh one after another', async () => {
    const { port } = server.address() as AddressInfo;
    const manifestFile = join(cluster().facts.directory, 'web.yaml');
    writeFileSync(manifestFile, storyManifest);
    const lines = storyLines({
      api: `http://127.0.0.1:${port}/api/v1`,
      kubeconfigFile: cluster().adminKubeconfigFile,
      manifestFile,
      kubectl: join(cluster().facts.assets, 'kubectl'),
    });
    const shell = spawn('sh', ['-e'], { stdio: ['pipe', 'pipe', 'pipe'] });
    shell.stdin.end(`${lines.join('\n')}\n`);
    const [output, errors] = await Promise.all([text(shell.stdout), text(shell.stderr), once(shell, 'close')]);

    expect(errors).toBe('');
    expect(shell.exitCode).toBe(0);
    expect(output).toContain('event: snapshot');
    // The stream is in the background: it may come after the execution.
    expect(calls.map(({ target }) => target).toSorted()).toEqual([
      `GET /api/v1/streams/workflows/${workflowId}`,
      'POST /api/v1/clusters?name=local',
      `POST /api/v1/workflows/${workflowId}/execute`,
      `POST /api/v1/workflows?name=web&clusterId=${clusterId}&namespace=default`,
    ]);
    expect(calls[0]).toMatchObject({ contentType: 'application/yaml', body: cluster().adminKubeconfig });
    expect(calls[1]).toMatchObject({ contentType: 'application/yaml', body: storyManifest });
    await cluster().eventually<V1Deployment>(
      '/apis/apps/v1/namespaces/default/deployments/web',
      (one) => one?.status?.readyReplicas === 3,
    );
  }, 120_000);
});
