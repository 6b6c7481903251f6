import { mkdtempSync, rmSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Server, createServer } from 'node:https';
import { type AddressInfo, type Server as TcpServer, type Socket, createServer as createTcpServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { clusterProberContract } from '../../test/contracts/cluster-prober.contract.js';
import { CertificateAuthority } from '../../test/control-plane/certificate-authority.js';
import { FakeClusterProber } from '../../test/support/fake-cluster-prober.js';
import { accessTo, testApis } from '../../test/support/kubernetes-apis.js';
import type { ClusterAccess } from '../kubernetes/cluster-access.js';
import type { KubernetesApis } from '../kubernetes/index.js';
import { SystemClock } from '../runtime/clock.js';
import { KubernetesClusterProber } from './kubernetes-cluster-prober.js';

const directory = mkdtempSync(join(tmpdir(), 'crowsnest-prober-'));
const node = (ready: boolean): object => ({
  status: {
    capacity: { cpu: '4', memory: '8Gi', pods: '110' },
    conditions: [{ type: 'Ready', status: ready ? 'True' : 'False' }],
  },
});
const named = (name: string): object => ({ metadata: { name } });

/** An API server of a few answers: token `full` may read all, `few` the version only, and any other is refused. */
function answer(request: IncomingMessage, response: ServerResponse): void {
  const { pathname, searchParams } = new URL(request.url ?? '/', 'https://server');
  const token = request.headers.authorization;
  const answers: Record<string, unknown> = {
    '/version': { gitVersion: 'v1.36.3' },
    '/api/v1/namespaces/kube-system': { metadata: { name: 'kube-system', uid: 'uid-1' } },
    '/api/v1/namespaces/default': named('default'),
    '/api/v1/namespaces': { items: [named('default'), named('kube-system')] },
    '/api/v1/nodes': searchParams.has('continue')
      ? { items: [node(false)] }
      : { items: [node(true)], metadata: { continue: 'more' } },
    '/elsewhere/version': '<html>',
    '/grown/version': { gitVersion: 'v'.repeat(2 ** 21) },
  };
  const found = answers[pathname];
  const status = token === 'Bearer full' ? 200 : token !== 'Bearer few' ? 401 : pathname === '/version' ? 200 : 403;
  if (status !== 200 || found === undefined) {
    const code = found === undefined ? 404 : status;
    response.writeHead(code, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ kind: 'Status', code, message: 'told by the other side' }));
    return;
  }
  response.writeHead(200, { 'content-type': 'application/json' });
  response.end(JSON.stringify(found));
}

let apis: KubernetesApis;
let server: Server;
let silentServer: TcpServer;
let authority: CertificateAuthority;
const sockets = new Set<Socket>();

beforeAll(async () => {
  authority = new CertificateAuthority(directory);
  const { certificate, key } = authority.issue({
    commonName: 'server',
    usage: 'serverAuth',
    alternativeNames: ['IP:127.0.0.1'],
  });
  apis = testApis();
  server = createServer({ cert: certificate, key }, answer).listen(0, '127.0.0.1');
  silentServer = createTcpServer((socket) => sockets.add(socket.on('error', () => undefined))).listen(0, '127.0.0.1');
  await Promise.all([once(server, 'listening'), once(silentServer, 'listening')]);
});

afterAll(async () => {
  await apis.stop();
  for (const socket of sockets) socket.destroy();
  await Promise.all([once(server.close(), 'close'), once(silentServer.close(), 'close')]);
  rmSync(directory, { recursive: true, force: true });
});

function at(port: number, token: string, path = ''): ClusterAccess {
  return accessTo(
    { server: `https://127.0.0.1:${port}${path}`, caCertificate: authority.certificate },
    { type: 'token', token },
  );
}
const portOf = (listening: Server | TcpServer): number => (listening.address() as AddressInfo).port;
const prober = (): KubernetesClusterProber => new KubernetesClusterProber(apis, new SystemClock());

clusterProberContract('KubernetesClusterProber', () => ({
  prober: prober(),
  healthy: at(portOf(server), 'full'),
  wrongCredential: at(portOf(server), 'wrong'),
  fewRights: at(portOf(server), 'few'),
  closedPort: at(1, 'full'),
  silent: at(portOf(silentServer), 'full'),
}));

clusterProberContract('FakeClusterProber', () => {
  const fake = new FakeClusterProber(new SystemClock());
  const access = (name: string, token = 'full'): ClusterAccess =>
    accessTo({ server: `https://${name}`, caCertificate: '' }, { type: 'token', token });
  const forbidden = { code: 'forbidden', message: 'cannot' } as const;
  fake.clusters.set('https://healthy', {
    uid: 'uid-1',
    token: 'full',
    metadata: { nodes: { total: 2, ready: 1 }, capacity: { cpu: 8, memory: 16 * 2 ** 30, pods: 220 } },
  });
  fake.clusters.set('https://few', {
    metadata: {
      nodes: null,
      capacity: null,
      namespaces: null,
      unavailable: { nodes: forbidden, capacity: forbidden, namespaces: forbidden },
    },
  });
  fake.clusters.set('https://closed', { failure: 'refused' });
  fake.clusters.set('https://silent', { silent: true });
  return {
    prober: fake,
    healthy: access('healthy'),
    wrongCredential: access('healthy', 'wrong'),
    fewRights: access('few'),
    closedPort: access('closed'),
    silent: access('silent'),
  };
});

describe('KubernetesClusterProber', () => {
  const options = { timeoutMs: 5_000, signal: new AbortController().signal };

  it('tells a certificate of another authority, and sends nothing to its server', async () => {
    const other = new CertificateAuthority(join(directory, 'other'));
    const access = { ...at(portOf(server), 'full'), caData: other.certificate };
    expect(await prober().check(access, options)).toMatchObject({ reachable: false, reason: { code: 'tls' } });
  });

  it.each(['/elsewhere', '/grown', '/absent'])('takes no other server for a cluster: %s', async (path) => {
    const { reachable, reason } = await prober().check(at(portOf(server), 'full', path), options);
    expect(reachable).toBe(false);
    expect(reason?.message).not.toContain('told by the other side');
  });

  it('leaves no connection behind', async () => {
    await prober().check(at(portOf(server), 'full'), options);
    await prober().metadata(at(portOf(server), 'few'), { ...options, namespaces: null });
    expect(apis.connections).toBe(0);
  });
});
