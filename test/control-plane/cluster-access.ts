import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, type Dispatcher, request } from 'undici';
import { CertificateAuthority } from './certificate-authority.ts';

/** Where a running control plane is: plain data, so that it can be handed to another process on the same machine. */
export interface ClusterFacts {
  /** `https://127.0.0.1:<port>` */
  readonly server: string;
  /** Holds `pki/`, `admin.kubeconfig` and `logs/`. */
  readonly directory: string;
  /** Folder of the programs, `kubectl` among them. */
  readonly assets: string;
  /** Bearer tokens by user: `admin` is in `system:masters`, the others have no rights until a test binds some. */
  readonly tokens: { readonly admin: string; readonly alice: string; readonly bob: string };
}

export interface ClusterUser {
  readonly name: string;
  readonly groups?: readonly string[];
  /** A bearer token of that user; without it the user gets a client certificate. */
  readonly token?: string;
}

export interface ClusterAnswer<Body = unknown> {
  readonly status: number;
  readonly body: Body;
}

const admin: ClusterUser = { name: 'admin', groups: ['system:masters'] };

/** Everything a test does with a control plane except owning its processes. */
export class ClusterAccess {
  readonly facts: ClusterFacts;
  readonly authority: CertificateAuthority;
  private readonly agent: Agent;

  constructor(facts: ClusterFacts) {
    this.facts = facts;
    this.authority = new CertificateAuthority(join(facts.directory, 'pki'));
    this.agent = new Agent({ allowH2: false, connect: { ca: this.authority.certificate } });
  }

  get server(): string {
    return this.facts.server;
  }

  /** PEM of the certificate authority. */
  get caCertificate(): string {
    return this.authority.certificate;
  }

  /** The same in base64, as kubeconfigs carry it. */
  get caData(): string {
    return base64(this.caCertificate);
  }

  /** The administrator's bearer token. */
  get token(): string {
    return this.facts.tokens.admin;
  }

  get adminKubeconfigFile(): string {
    return join(this.facts.directory, 'admin.kubeconfig');
  }

  get adminKubeconfig(): string {
    return readFileSync(this.adminKubeconfigFile, 'utf8');
  }

  /** A self-contained kubeconfig (YAML) of any user with any groups; the administrator's by default. */
  kubeconfig(user: ClusterUser = admin, options: { context?: string } = {}): string {
    const context = options.context ?? `${user.name}@test`;
    const quoted = JSON.stringify(context);
    return [
      'apiVersion: v1',
      'kind: Config',
      `current-context: ${quoted}`,
      'clusters:',
      '  - name: test',
      '    cluster:',
      `      server: ${this.server}`,
      `      certificate-authority-data: ${this.caData}`,
      'users:',
      `  - name: ${JSON.stringify(user.name)}`,
      '    user:',
      ...this.credentialLines(user).map((line) => `      ${line}`),
      'contexts:',
      `  - name: ${quoted}`,
      '    context:',
      '      cluster: test',
      `      user: ${JSON.stringify(user.name)}`,
      '',
    ].join('\n');
  }

  /**
   * One call as the administrator. Non-2xx is an answer, not an error.
   * @throws when the API server cannot be reached.
   */
  async request<Body = unknown>(
    method: string,
    path: string,
    body?: unknown,
    contentType = 'application/json',
  ): Promise<ClusterAnswer<Body>> {
    const answer = await this.dispatch(method, path, {
      headers: { 'content-type': contentType },
      ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
      headersTimeout: 30_000,
    });
    const content = await answer.body.text();
    const isJson = String(answer.headers['content-type']).startsWith('application/json');
    return { status: answer.statusCode, body: (isJson ? JSON.parse(content) : content) as Body };
  }

  /**
   * Asks for an object every 50 ms until it is as wanted, and resolves to it; what is not there (404) is given as undefined.
   * @throws Error with the last answer after `timeoutMs`.
   */
  async eventually<Body>(
    path: string,
    isWanted: (body: Body | undefined) => boolean,
    timeoutMs = 30_000,
  ): Promise<Body | undefined> {
    const deadline = performance.now() + timeoutMs;
    for (;;) {
      const answer = await this.request<Body>('GET', path);
      const body = answer.status === 200 ? answer.body : undefined;
      if ((answer.status === 200 || answer.status === 404) && isWanted(body)) return body;
      if (performance.now() > deadline) {
        throw new Error(`GET ${path} was not as wanted in ${timeoutMs} ms, at last: ${JSON.stringify(answer)}`);
      }
      await delay(50);
    }
  }

  /** Makes a namespace of its own for a test, ready to take pods, and resolves to its name. */
  async createNamespace(prefix = 'test'): Promise<string> {
    const name = `${prefix}-${randomBytes(4).toString('hex')}`;
    const namespace = { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
    const created = await this.request('POST', '/api/v1/namespaces', namespace);
    if (created.status !== 201) throw new Error(`namespace ${name}: ${JSON.stringify(created.body)}`);
    await this.eventually(`/api/v1/namespaces/${name}/serviceaccounts/default`, (account) => account !== undefined);
    return name;
  }

  /**
   * The lines of a watch, as the administrator; ends when the server or `signal` ends it.
   * @throws when the API server refuses it or cannot be reached.
   */
  async *lines(path: string, signal: AbortSignal): AsyncGenerator<string> {
    const answer = await this.dispatch('GET', path, { signal, headersTimeout: 30_000, bodyTimeout: 0 });
    if (answer.statusCode !== 200) throw new Error(`GET ${path}: ${answer.statusCode} ${await answer.body.text()}`);
    answer.body.setEncoding('utf8');
    let rest = '';
    for await (const chunk of answer.body as AsyncIterable<string>) {
      const parts = (rest + chunk).split('\n');
      rest = parts.pop() ?? '';
      yield* parts.filter(Boolean);
    }
  }

  /**
   * Runs `kubectl`, as the administrator unless another kubeconfig is given, and resolves to its standard output.
   * @throws Error with its standard error when it exits with another code than 0.
   */
  async kubectl(args: readonly string[], stdin?: string, kubeconfig?: string): Promise<string> {
    const file = kubeconfig === undefined ? this.adminKubeconfigFile : this.writeKubeconfig(kubeconfig);
    const child = spawn(join(this.facts.assets, 'kubectl'), ['--kubeconfig', file, ...args], {
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    child.stdin.end(stdin);
    const [output, errors, [code]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, 'close') as Promise<[number | null]>,
    ]);
    if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${errors.trim()}`);
    return output;
  }

  /** Closes the connections of `request` and `lines`. */
  async close(): Promise<void> {
    await this.agent.destroy();
  }

  private writeKubeconfig(kubeconfig: string): string {
    const name = createHash('sha256').update(kubeconfig).digest('hex').slice(0, 16);
    const file = join(this.facts.directory, `${name}.kubeconfig`);
    writeFileSync(file, kubeconfig, { mode: 0o600 });
    return file;
  }

  private credentialLines(user: ClusterUser): string[] {
    if (user.token !== undefined) return [`token: ${JSON.stringify(user.token)}`];
    const credential = this.authority.issue({
      commonName: user.name,
      organizations: user.groups ?? [],
      usage: 'clientAuth',
    });
    return [`client-certificate-data: ${base64(credential.certificate)}`, `client-key-data: ${base64(credential.key)}`];
  }

  private dispatch(
    method: string,
    path: string,
    options: Omit<Partial<Dispatcher.RequestOptions>, 'headers'> & { headers?: Record<string, string> },
  ): Promise<Dispatcher.ResponseData> {
    return request(`${this.server}${path}`, {
      ...options,
      method: method as Dispatcher.HttpMethod,
      headers: { authorization: `Bearer ${this.token}`, ...options.headers },
      dispatcher: this.agent,
    });
  }
}

function base64(value: string): string {
  return Buffer.from(value).toString('base64');
}
