import { type Socket, connect } from 'node:net';
import { LoopbackServer } from './loopback-server.js';

/** Stands between the gateway and a subsystem, and can become a half-open connection: open, and nothing comes through. */
export class SilencingProxy {
  private readonly upstreams = new Set<Socket>();
  private isSilent = false;
  private readonly server: LoopbackServer;

  constructor(target: number) {
    this.server = new LoopbackServer((client) => {
      const upstream = connect(target, '127.0.0.1');
      this.upstreams.add(upstream);
      for (const [from, to] of [
        [client, upstream],
        [upstream, client],
      ] as const) {
        from.on('data', (chunk) => void (this.isSilent || to.write(chunk)));
        from.on('error', () => undefined).on('close', () => void (this.isSilent || to.destroy()));
      }
    });
  }

  async start(): Promise<this> {
    await this.server.start();
    return this;
  }

  async stop(): Promise<void> {
    for (const upstream of this.upstreams) upstream.destroy();
    await this.server.stop();
  }

  get endpoint(): string {
    return this.server.origin;
  }

  silence(): void {
    this.isSilent = true;
  }
}
