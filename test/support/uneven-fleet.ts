import { Code } from '@connectrpc/connect';
import { ApiClient, eventually } from './api-client.js';
import { FlowWatchSubsystem, type FlowWatchSubsystemOptions } from './flowwatch-subsystem.js';
import { Service } from './service.js';

/** The service with four subsystems behind it, each of another kind. */
export class UnevenFleet {
  private constructor(
    readonly service: Service,
    /** Offers everything, and answers. */
    readonly billing: FlowWatchSubsystem,
    /** Neither streams nor searches nor counts. */
    readonly old: FlowWatchSubsystem,
    readonly all: readonly FlowWatchSubsystem[],
  ) {}

  /** @param held RPCs to which the slow one never answers */
  static async start(held: readonly string[]): Promise<UnevenFleet> {
    // Who is slow or fails stays connected meanwhile.
    const environment = { CROWSNEST_GATEWAY_HEARTBEAT: '60s', CROWSNEST_GATEWAY_CALL_TIMEOUT: '1500ms' };
    const service = await Service.start({ environment });
    const api = new ApiClient(service.url);
    const add = async (options: FlowWatchSubsystemOptions): Promise<FlowWatchSubsystem> => {
      const subsystem = await new FlowWatchSubsystem(options).start();
      await api.must('POST', '/gateway/subsystems', { body: { id: options.id, endpoint: subsystem.endpoint } });
      await eventually(
        () => api.must('GET', `/gateway/subsystems/${options.id}`),
        ({ state }) => state === 'connected',
        20_000,
      );
      return subsystem;
    };
    const billing = await add({ id: 'billing', runs: 20 });
    const old = await add({ id: 'old', runs: 20, old: true, protocols: 'http1' });
    const slow = await add({ id: 'slow', runs: 2 });
    const failing = await add({ id: 'failing', runs: 2 });
    for (const name of held) slow.hold(name);
    failing.fail(Code.Internal);
    return new UnevenFleet(service, billing, old, [billing, old, slow, failing]);
  }

  async stop(): Promise<void> {
    await this.service.dispose();
    for (const subsystem of this.all) await subsystem.stop();
  }
}
