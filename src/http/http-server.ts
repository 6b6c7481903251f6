import { type Server, createServer } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { Inject, Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import type { Express } from 'express';
import { isLoopbackAddress } from '../auth/loopback.js';
import type { Runnable } from '../runtime/runnable.js';
import { type HttpConfig, httpConfig } from './http.config.js';

const LIMITS = {
  headersTimeout: 10_000,
  requestTimeout: 30_000,
  keepAliveTimeout: 10_000,
  // Without it the time limits above are looked at every 30 s only.
  connectionsCheckingInterval: 1_000,
  maxHeaderSize: 16_384,
};

/**
 * The listening server. Ours rather than Nest's, because time limits are given at creation, connections are counted by
 * address, and closing has to end what is idle at once and what is busy at the deadline.
 */
@Injectable()
export class HttpServer implements Runnable {
  readonly name = 'server';
  private server: Server | undefined;
  private readonly connections = new Map<string, number>();

  constructor(
    private readonly adapterHost: HttpAdapterHost,
    @Inject(httpConfig.token) private readonly config: HttpConfig,
  ) {}

  /** Where it listens, as a URL; known once it does. */
  get url(): string {
    const address = this.server?.address() as AddressInfo | null | undefined;
    if (!address) throw new Error('the HTTP server does not listen');
    return `http://${address.family === 'IPv6' ? `[${address.address}]` : address.address}:${address.port}`;
  }

  /** Throws an Error that names address and setting when the port is taken or the address is not ours. */
  async start(): Promise<void> {
    const { host, port, maxConnections } = this.config;
    const express = this.adapterHost.httpAdapter.getInstance<Express>();
    const server = createServer(LIMITS, express);
    server.maxConnections = maxConnections;
    server.on('connection', (socket: Socket) => this.count(socket));
    await new Promise<void>((resolve, reject) => {
      server.once('error', (error) => {
        reject(new Error(`cannot listen on ${host} port ${port} (HOST, PORT): ${error.message}`, { cause: error }));
      });
      server.listen(port, host, resolve);
    });
    this.server = server;
  }

  async stop(deadline: AbortSignal): Promise<void> {
    const { server } = this;
    if (!server?.listening) return;
    const cut = (): void => server.closeAllConnections();
    deadline.addEventListener('abort', cut, { once: true });
    await new Promise<void>((resolve) => {
      server.close(() => resolve());
      server.closeIdleConnections();
      if (deadline.aborted) cut();
    });
    deadline.removeEventListener('abort', cut);
  }

  private count(socket: Socket): void {
    const address = socket.remoteAddress ?? '';
    if (isLoopbackAddress(address)) return;
    const open = (this.connections.get(address) ?? 0) + 1;
    if (open > this.config.connectionsPerAddress) {
      socket.destroy();
      return;
    }
    this.connections.set(address, open);
    socket.once('close', () => {
      const left = (this.connections.get(address) ?? 1) - 1;
      if (left > 0) this.connections.set(address, left);
      else this.connections.delete(address);
    });
  }
}
