import { type Socket, connect } from 'node:net';
import { LoopbackServer } from './loopback-server.js';

/**
 * The network between a browser and a service on loopback, which a test can cut as a lost Wi-Fi does: the browser's
 * connections break and new ones fail, while the service is told nothing.
 */
export class BrowserLink {
  private readonly server: LoopbackServer;
  private readonly upstreams = new Set<Socket>();
  private isCut = false;

  private constructor(port: number) {
    this.server = new LoopbackServer((client) => {
      if (this.isCut) client.destroy();
      else this.join(client, connect({ port, host: '127.0.0.1' }));
    });
  }

  static async start(port: number): Promise<BrowserLink> {
    const link = new BrowserLink(port);
    await link.server.start();
    return link;
  }

  get url(): string {
    return this.server.origin;
  }

  cut(): void {
    this.isCut = true;
    for (const client of this.server.sockets) client.destroy();
  }

  mend(): void {
    this.isCut = false;
  }

  async stop(): Promise<void> {
    for (const upstream of this.upstreams) upstream.destroy();
    await this.server.stop();
  }

  private join(client: Socket, upstream: Socket): void {
    this.upstreams.add(upstream);
    client.on('data', (bytes) => void upstream.write(bytes));
    upstream.on('data', (bytes) => void (client.destroyed || client.write(bytes)));
    upstream
      .on('error', () => undefined)
      .once('close', () => {
        this.upstreams.delete(upstream);
        client.destroy();
      });
    client.once('close', () => {
      if (!this.isCut) upstream.destroy();
    });
  }
}
