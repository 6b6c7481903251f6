// A process that answers like an API server as far as the benchmarks ask: lists in pages, watches, server-side apply, HTTP/2 on
// loopback. Its first line tells where it is; every line it reads is one command (see `Command`), answered by one line.
import { type Http2ServerRequest, type Http2ServerResponse, createSecureServer } from 'node:http2';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { CertificateAuthority } from '../../test/control-plane/certificate-authority.ts';
import { type StoredObject, pod, withStatus } from './bench-objects.ts';

export type Command =
  /** Fills a namespace with pods. */
  | { readonly type: 'pods'; readonly namespace: string; readonly count: number }
  /** Changes the status of all Deployments in turn; answers with `sentAt` of every serial, from 1. */
  | { readonly type: 'changes'; readonly perSecond: number; readonly seconds: number };

export interface ServerFacts {
  readonly server: string;
  readonly caCertificate: string;
}

/** Milliseconds of the clock that all processes of a machine share. */
export const sharedNow = (): number => Number(process.hrtime.bigint()) / 1e6;

const PATH = /^\/(?:api\/v1|apis\/([^/]+)\/[^/]+)(?:\/namespaces\/([^/]+))?\/([a-z]+)(?:\/([^/]+))?$/;
const VERSION = { major: '1', minor: '34', gitVersion: 'v1.34.0', platform: 'linux/amd64' };

interface Watch {
  readonly plural: string;
  readonly namespace: string | undefined;
  readonly response: Http2ServerResponse;
}

class ScriptedApiServer {
  private readonly objects = new Map<string, Map<string, StoredObject>>();
  private readonly watches = new Set<Watch>();
  private version = 1_000_000;
  private created = 0;

  answer(request: Http2ServerRequest, response: Http2ServerResponse): void {
    const url = new URL(request.url, 'https://server');
    const [path, , namespace, plural, name] = PATH.exec(url.pathname) ?? [];
    if (url.pathname === '/version') json(response, 200, VERSION);
    else if (url.pathname === '/api/v1/namespaces/kube-system') json(response, 200, kubeSystem());
    else if (path === undefined || plural === undefined) json(response, 404, notFound());
    else if (request.method === 'PATCH') this.apply(request, response, plural, `${namespace}/${name}`);
    else if (name !== undefined) this.one(response, plural, `${namespace}/${name}`);
    else if (url.searchParams.get('watch') === 'true') this.watch(url, response, plural, namespace);
    else this.list(url, response, plural, namespace);
  }

  addPods(namespace: string, count: number): void {
    const pods = this.of('pods');
    for (let n = 0; n < count; n++) {
      const object = pod(namespace, this.created++);
      pods.set(`${namespace}/${object.metadata.name}`, object);
    }
  }

  /** In steps as small as timers are, so that a second's events do not come in one burst. */
  async change(perSecond: number, seconds: number): Promise<number[]> {
    const keys = [...this.of('deployments').keys()];
    const sentAt: number[] = [];
    const begun = sharedNow();
    await new Promise<void>((resolve) => {
      const timer = setInterval(() => {
        const due = Math.min(perSecond * seconds, Math.floor(((sharedNow() - begun) * perSecond) / 1000));
        while (sentAt.length < due) this.changeOne(keys[sentAt.length % keys.length] ?? '', sentAt);
        if (sentAt.length < perSecond * seconds) return;
        clearInterval(timer);
        resolve();
      }, 1);
    });
    return sentAt;
  }

  private changeOne(key: string, sentAt: number[]): void {
    const object = this.of('deployments').get(key);
    if (!object) throw new Error('there are no Deployments: execute workflows first');
    const changed = withStatus(object, this.nextVersion(), sentAt.length + 1);
    sentAt.push(sharedNow());
    this.store('deployments', key, changed, 'MODIFIED');
  }

  private of(plural: string): Map<string, StoredObject> {
    const kept = this.objects.get(plural) ?? new Map<string, StoredObject>();
    this.objects.set(plural, kept);
    return kept;
  }

  private nextVersion(): string {
    return String(++this.version);
  }

  private store(plural: string, key: string, object: StoredObject, type: string): void {
    this.of(plural).set(key, object);
    const line = `${JSON.stringify({ type, object })}\n`;
    for (const watch of this.watches) {
      if (watch.plural === plural && covers(watch.namespace, key)) watch.response.write(line);
    }
  }

  private one(response: Http2ServerResponse, plural: string, key: string): void {
    const object = this.of(plural).get(key);
    if (object) json(response, 200, object);
    else json(response, 404, notFound());
  }

  private list(url: URL, response: Http2ServerResponse, plural: string, namespace: string | undefined): void {
    const all = [...this.of(plural)].filter(([key]) => covers(namespace, key)).map(([, object]) => object);
    const from = Number(url.searchParams.get('continue') ?? 0);
    const limit = Number(url.searchParams.get('limit') ?? 0) || all.length;
    const next = from + limit < all.length ? { continue: String(from + limit) } : {};
    const metadata = { resourceVersion: String(this.version), ...next };
    json(response, 200, { kind: 'List', apiVersion: 'v1', metadata, items: all.slice(from, from + limit) });
  }

  private watch(url: URL, response: Http2ServerResponse, plural: string, namespace: string | undefined): void {
    response.writeHead(200, { 'content-type': 'application/json' });
    const watch = { plural, namespace, response };
    const since = Number(url.searchParams.get('resourceVersion') ?? 0);
    for (const [key, object] of this.of(plural)) {
      if (!covers(namespace, key) || Number(object.metadata.resourceVersion) <= since) continue;
      response.write(`${JSON.stringify({ type: 'MODIFIED', object })}\n`);
    }
    this.watches.add(watch);
    response.on('close', () => this.watches.delete(watch));
  }

  private apply(request: Http2ServerRequest, response: Http2ServerResponse, plural: string, key: string): void {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const manifest = JSON.parse(Buffer.concat(chunks).toString()) as StoredObject;
      const uid = `77777777-0000-4000-8000-${String(++this.created).padStart(12, '0')}`;
      const metadata = { ...manifest.metadata, uid, resourceVersion: this.nextVersion(), generation: 1 };
      const object = withStatus({ ...manifest, metadata }, metadata.resourceVersion, 0);
      this.store(plural, key, object, 'ADDED');
      json(response, 201, object);
    });
  }
}

const covers = (namespace: string | undefined, key: string): boolean =>
  namespace === undefined || key.startsWith(`${namespace}/`);

const notFound = () => ({ kind: 'Status', apiVersion: 'v1', status: 'Failure', reason: 'NotFound', code: 404 });
const kubeSystem = () => ({ kind: 'Namespace', metadata: { name: 'kube-system', uid: 'bench', resourceVersion: '1' } });

function json(response: Http2ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' });
  response.end(JSON.stringify(body));
}

if (import.meta.main) {
  const directory = mkdtempSync(join(tmpdir(), 'crowsnest-bench-server-'));
  const authority = new CertificateAuthority(directory);
  const serving = authority.issue({ commonName: 'scripted', usage: 'serverAuth', alternativeNames: ['IP:127.0.0.1'] });
  const server = new ScriptedApiServer();
  const listener = createSecureServer(
    { key: serving.key, cert: serving.certificate, allowHTTP1: true },
    (request, response) => server.answer(request, response),
  );
  listener.listen(0, '127.0.0.1', () => {
    const { port } = listener.address() as AddressInfo;
    say({ server: `https://127.0.0.1:${port}`, caCertificate: authority.certificate });
    rmSync(directory, { recursive: true, force: true });
  });
  const say = (line: unknown): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  for await (const line of createInterface({ input: process.stdin })) {
    const command = JSON.parse(line) as Command;
    if (command.type === 'pods') {
      server.addPods(command.namespace, command.count);
      say({ done: true });
    } else say(await server.change(command.perSecond, command.seconds));
  }
}
