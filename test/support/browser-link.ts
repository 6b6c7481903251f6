import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net';

/**
 * The network between a browser and a service on loopback, which a test can cut as a lost Wi-Fi does: the browser's
 * connections break and new ones fail, while the service is told nothing.
 */
export class BrowserLink {
  private readonly server: Server;
  private readonly clients = new Set<Socket>();
  private readonly upstreams = new Set<Socket>();
  private isCut = false;

  private constructor(port: number) {
    this.server = createServer((client) => {
      if (this.isCut) client.destroy();
      else this.join(client, connect({ port, host: '127.0.0.1' }));
    });
  }

  static async start(port: number): Promise<BrowserLink> {
    const link = new BrowserLink(port);
    link.server.listen(0, '127.0.0.1');
    await once(link.server, 'listening');
    return link;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  cut(): void {
    this.isCut = true;
    for (const client of this.clients) client.destroy();
  }

  mend(): void {
    this.isCut = false;
  }

  async stop(): Promise<void> {
    const closed = once(this.server, 'close');
    this.server.close();
    for (const socket of [...this.clients, ...this.upstreams]) socket.destroy();
    await closed;
  }

  private join(client: Socket, upstream: Socket): void {
    this.clients.add(client);
    this.upstreams.add(upstream);
    client.on('data', (bytes) => void upstream.write(bytes));
    upstream.on('data', (bytes) => void (client.destroyed || client.write(bytes)));
    upstream
      .on('error', () => undefined)
      .once('close', () => {
        this.upstreams.delete(upstream);
        client.destroy();
      });
    client
      .on('error', () => undefined)
      .once('close', () => {
        this.clients.delete(client);
        if (!this.isCut) upstream.destroy();
      });
  }
}
