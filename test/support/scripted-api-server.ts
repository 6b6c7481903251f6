import { once } from 'node:events';
import {
  type Http2SecureServer,
  type Http2ServerRequest,
  type Http2ServerResponse,
  type ServerHttp2Session,
  createSecureServer,
} from 'node:http2';
import { createServer as createHttpsServer } from 'node:https';
import { mkdtempSync, rmSync } from 'node:fs';
import type { AddressInfo, Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CertificateAuthority } from '../control-plane/certificate-authority.js';

export type Script = (request: Http2ServerRequest, response: Http2ServerResponse) => void;

/** A TLS server on loopback that answers as a test says: for the faults that a real API server does not have. */
export class ScriptedApiServer {
  readonly caCertificate: string;
  /** Of all requests, in order of arrival. */
  readonly requests: { readonly method: string; readonly path: string; readonly headers: Record<string, unknown> }[] =
    [];
  readonly sessions: ServerHttp2Session[] = [];
  private readonly sockets = new Set<Socket>();
  private readonly directory = mkdtempSync(join(tmpdir(), 'scripted-api-server-'));
  private readonly listener: Http2SecureServer;
  private readonly script: Script;

  constructor(script: Script, options: { http1Only?: boolean; maxConcurrentStreams?: number } = {}) {
    this.script = script;
    const authority = new CertificateAuthority(this.directory);
    this.caCertificate = authority.certificate;
    const serving = authority.issue({
      commonName: 'scripted',
      usage: 'serverAuth',
      alternativeNames: ['IP:127.0.0.1', 'DNS:localhost'],
    });
    const identity = { key: serving.key, cert: serving.certificate };
    const settings = { maxConcurrentStreams: options.maxConcurrentStreams ?? 100 };
    // node's HTTP/1.1 server has the same events and, for what scripts use, the same requests and responses.
    this.listener = options.http1Only
      ? (createHttpsServer(identity) as unknown as Http2SecureServer)
      : createSecureServer({ ...identity, settings });
    this.listener.on('session', (session) => {
      this.sessions.push(session);
      session.on('error', () => undefined);
    });
    this.listener.on('secureConnection', (socket: Socket) => {
      this.sockets.add(socket);
      socket.on('error', () => undefined).once('close', () => this.sockets.delete(socket));
    });
    this.listener.on('request', (request, response) => {
      this.requests.push({ method: request.method, path: request.url, headers: request.headers });
      request.on('error', () => undefined);
      response.on('error', () => undefined);
      this.script(request, response);
    });
  }

  async start(): Promise<this> {
    this.listener.listen(0, '127.0.0.1');
    await once(this.listener, 'listening');
    return this;
  }

  /** URL: together with `caCertificate` what `accessTo` needs. */
  get server(): string {
    return `https://127.0.0.1:${(this.listener.address() as AddressInfo).port}`;
  }

  /** Connections that clients hold open. */
  get connections(): number {
    return this.sockets.size;
  }

  /** Resolves when every client has closed its connections. */
  async idle(): Promise<void> {
    while (this.sockets.size > 0) await once([...this.sockets][0] as Socket, 'close');
  }

  /** Ends every connection, as a server that was killed does. */
  cut(): void {
    for (const socket of this.sockets) socket.destroy();
  }

  async stop(): Promise<void> {
    for (const session of this.sessions) session.destroy();
    this.cut();
    const closed = once(this.listener, 'close');
    this.listener.close();
    await closed;
    rmSync(this.directory, { recursive: true, force: true });
  }
}
