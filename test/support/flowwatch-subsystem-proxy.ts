import { type AddressInfo, type Server, type Socket, connect, createServer } from 'node:net';

/** Stands between the gateway and a subsystem, and can become a half-open connection: open, and nothing comes through. */
export class SilencingProxy {
  private readonly sockets = new Set<Socket>();
  private isSilent = false;
  private readonly server: Server;

  constructor(target: number) {
    this.server = createServer((client) => {
      const upstream = connect(target, '127.0.0.1');
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        this.sockets.add(from);
        from.on('data', (chunk) => void (this.isSilent || to.write(chunk)));
        from.on('error', () => undefined).on('close', () => void (this.isSilent || to.destroy()));
      }
    });
  }

  async start(): Promise<this> {
    await new Promise<void>((resolve) => this.server.listen(0, '127.0.0.1', resolve));
    return this;
  }

  async stop(): Promise<void> {
    for (const socket of this.sockets) socket.destroy();
    await new Promise<void>((resolve) => this.server.close(() => resolve()));
  }

  get endpoint(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  silence(): void {
    this.isSilent = true;
  }
}
