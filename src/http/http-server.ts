import { type IncomingMessage, type RequestListener, type Server, type ServerResponse, createServer } from 'node:http';
import { type Server as SecureServer, createServer as createSecureServer } from 'node:https';
import type { AddressInfo, Socket } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Express } from 'express';
import { isLoopbackAddress } from '../auth/loopback.js';
import { CLOCK, type Clock, type Timer } from '../runtime/clock.js';
import type { Runnable } from '../runtime/runnable.js';
import { readPreface } from './connection-preface.js';
import { expressOverHttp2 } from './express-over-http2.js';
import { type HttpConfig, httpConfig } from './http.config.js';
import { Http2Connections } from './http2-connections.js';
import { RequestMounts } from './request-mounts.js';
import { takeOver } from './take-over.js';
import { type TlsPair, tlsPairOf, tlsProblems } from './tls.js';

const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  // Without it the time limits above are looked at every 30 s only.
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16_384,
};
/** How often an HTTP/2 connection is looked at, whether it is used and lives. */
const HTTP2_CHECK_MS = 30_000;
const IDLE_SWEEP_MS = 50;

/**
 * The listening server, HTTP/1.1 and HTTP/2 on one port. Ours rather than Nest's, because time limits are given at
 * creation, connections are counted by address, and closing has to end what is idle at once and what is busy at the
 * deadline. The listener is Node's server of HTTP/1.1; connections that turn out to be HTTP/2 are taken out of its hands.
 */
@Injectable()
export class HttpServer implements Runnable {
  readonly name = 'server';
  private server: Server | undefined;
  /** The same, if it speaks TLS. */
  private secureServer: SecureServer | undefined;
  private http2: Http2Connections | undefined;
  private readonly undecided = new Set<Socket>();
  private readonly connections = new Map<string, number>();

  constructor(
    private readonly adapterHost: HttpAdapterHost,
    private readonly mounts: RequestMounts,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(httpConfig.token) private readonly config: HttpConfig,
  ) {}

  /** Where it listens, as a URL; known once it does. */
  get url(): string {
    const address = this.server?.address() as AddressInfo | null | undefined;
    if (!address) throw new Error('the HTTP server does not listen');
    const scheme = this.config.tlsCert === undefined ? 'http' : 'https';
    return `${scheme}://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }

  /** Throws an Error that names address and setting when the port is taken, the address is not ours or the certificate is wrong. */
  async start(): Promise<void> {
    const { host, port, maxConnections } = this.config;
    const [problem] = tlsProblems(this.config);
    if (problem !== undefined) throw new Error(problem);
    const express = this.adapterHost.httpAdapter.getInstance<Express>();
    const listener: RequestListener = (request, response) => {
      const mount = this.mounts.find(request.url ?? '');
      if (mount) mount.handle(request, response);
      else express(request, response);
    };
    const http2 = this.openHttp2(express);
    const server = this.createListener(listener, http2);
    server.maxConnections = maxConnections;
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        reject(new Error(`cannot listen on ${host} port ${port} (HOST, PORT): ${error.message}`, { cause: error }));
      });
      server.listen(port, host, resolve);
    });
    this.http2 = http2;
    this.server = server;
  }

  /** For connections from now on. Throws an Error that says what is wrong with it; then nothing changes. */
  renewCertificate({ certificate, key }: TlsPair): void {
    const [problem] = tlsProblems({ tlsCert: certificate, tlsKey: key });
    if (problem !== undefined) throw new Error(problem);
    this.secureServer?.setSecureContext({ cert: certificate, key });
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const { server, http2 } = this;
    if (!server?.listening) return;
    const cut = (): void => {
      server.closeAllConnections();
      http2?.cut();
    };
    deadline.addEventListener('abort', cut, { once: true });
    let sweep: Timer | undefined;
    // Node keeps a connection whose last answer has just gone out, though the server is closing.
    const closeIdle = (): void => {
      server.closeIdleConnections();
      sweep = this.clock.after(IDLE_SWEEP_MS, closeIdle);
    };
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      closeIdle();
      for (const socket of this.undecided) socket.destroy();
      http2?.close();
      if (deadline.aborted) cut();
    });
    sweep?.cancel();
    deadline.removeEventListener('abort', cut);
  }

  private openHttp2(express: Express): Http2Connections {
    const answerByExpress = expressOverHttp2(express);
    return new Http2Connections({
      clock: this.clock,
      checkMs: HTTP2_CHECK_MS,
      pingTimeoutMs: LIMITS.keepAliveTimeout,
      requestTimeoutMs: LIMITS.requestTimeout,
      isOpenEnded: ({ url }) => this.mounts.find(url)?.isOpenEnded?.(url) === true,
      take: (stream, headers) => this.mounts.find(headers[':path'] ?? '')?.takeStream?.(stream, headers) === true,
      handle: (request, response) => {
        const mount = this.mounts.find(request.url);
        if (mount) mount.handle(request as unknown as IncomingMessage, response as unknown as ServerResponse);
        else answerByExpress(request, response);
      },
    });
  }

  /** With TLS the client has chosen the protocol in the handshake (ALPN); without, its first bytes tell. */
  private createListener(listener: RequestListener, http2: Http2Connections): Server {
    const tls = tlsPairOf(this.config);
    if (!tls) {
      const server = createServer(LIMITS, listener);
      const acceptHttp1 = takeOver(server, 'connection', (socket: Socket) => {
        if (!this.admit(socket)) return;
        this.undecided.add(socket);
        const decided = (): void => void this.undecided.delete(socket);
        socket.once('close', decided);
        readPreface(socket, this.clock, LIMITS.headersTimeout, (protocol) => {
          socket.off('close', decided);
          decided();
          if (protocol === 'http2') http2.accept(socket);
          else acceptHttp1(socket);
        });
      });
      return server;
    }
    const options = {
      ...LIMITS,
      cert: tls.certificate,
      key: tls.key,
      ALPNProtocols: ['h2', 'http/1.1'],
      handshakeTimeout: LIMITS.headersTimeout,
    };
    const server = createSecureServer(options, listener);
    this.secureServer = server;
    server.prependListener('connection', (socket: Socket) => void this.admit(socket));
    const acceptHttp1 = takeOver(server, 'secureConnection', (socket: TLSSocket) => {
      if (socket.alpnProtocol === 'h2') http2.accept(socket);
      else acceptHttp1(socket);
    });
    return server;
  }

  /** False for one connection too many from its address, which is closed. */
  private admit(socket: Socket): boolean {
    const address = socket.remoteAddress ?? '';
    if (isLoopbackAddress(address)) return true;
    const open = (this.connections.get(address) ?? 0) + 1;
    if (open > this.config.connectionsPerAddress) {
      socket.destroy();
      return false;
    }
    this.connections.set(address, open);
    socket.once('close', () => {
      const left = (this.connections.get(address) ?? 1) - 1;
      if (left > 0) this.connections.set(address, left);
      else this.connections.delete(address);
    });
    return true;
  }
}
