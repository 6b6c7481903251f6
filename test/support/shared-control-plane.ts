import { once } from 'node:events';
import { createServer, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ClusterFacts } from '../control-plane/cluster-access.ts';
import { type ControlPlane, startControlPlane } from '../control-plane/control-plane.ts';
import { Kubelet } from '../control-plane/kubelet.ts';

interface Running {
  readonly controlPlane: ControlPlane;
  readonly kubelet: Kubelet;
}

/**
 * One control plane for a whole test run: started when the first spec file asks for it over HTTP, so that a run without such
 * a spec does not wait for it. `GET <url>` answers with its `ClusterFacts`.
 */
export class SharedControlPlane {
  private readonly assets: string;
  private readonly server: Server;
  private running: Promise<Running> | undefined;

  constructor(assets: string) {
    this.assets = assets;
    this.server = createServer((_, response) => void this.answer(response));
  }

  /** Resolves to the URL to ask. */
  async start(): Promise<string> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
    const { port } = this.server.address() as AddressInfo;
    return `http://127.0.0.1:${port}/`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
    const running = await this.running?.catch(() => undefined);
    await running?.kubelet.stop();
    await running?.controlPlane.stop();
  }

  private async answer(response: ServerResponse): Promise<void> {
    try {
      this.running ??= this.startPlane();
      const facts: ClusterFacts = (await this.running).controlPlane.facts;
      response.setHeader('content-type', 'application/json').end(JSON.stringify(facts));
    } catch (error) {
      response.statusCode = 500;
      response.end(error instanceof Error ? error.message : String(error));
    }
  }

  private async startPlane(): Promise<Running> {
    const controlPlane = await startControlPlane({ assets: this.assets });
    const kubelet = new Kubelet(controlPlane);
    await kubelet.start();
    return { controlPlane, kubelet };
  }
}
