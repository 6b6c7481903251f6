import { Inject, Injectable, Logger } from '@nestjs/common';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { PeriodicTask } from '../../runtime/periodic-task.js';
import type { Runnable } from '../../runtime/runnable.js';
import { type GatewayConfig, gatewayConfig } from '../gateway.config.js';
import { Registration } from './registration.js';
import { SubsystemCallBacks } from './subsystem-call-backs.js';
import { SubsystemRegistry } from './subsystem-registry.js';
import { SubsystemsService } from './subsystems.service.js';

/** What runs in the background of the registry, in the order in which it starts and ends. */
@Injectable()
export class RegistryRunnable implements Runnable {
  readonly name = 'subsystem registry';
  private readonly log = new Logger(RegistryRunnable.name);
  private readonly checks: PeriodicTask;

  constructor(
    private readonly registry: SubsystemRegistry,
    private readonly registration: Registration,
    private readonly callBacks: SubsystemCallBacks,
    private readonly subsystems: SubsystemsService,
    @Inject(gatewayConfig.token) { heartbeatMs }: Pick<GatewayConfig, 'heartbeatMs'>,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.checks = new PeriodicTask({
      name: 'subsystem check',
      periodMs: heartbeatMs / 2,
      runOnce: () => Promise.resolve(this.registry.check()),
      onError: (error) => this.log.error({ message: 'subsystems could not be checked', error }),
      clock,
    });
  }

  async start(): Promise<void> {
    await this.callBacks.start();
    await this.subsystems.start();
    await this.checks.start();
  }

  /** Before the HTTP server, which carries the request to leave. */
  async stop(deadline: AbortSignal): Promise<void> {
    const isOver = this.registration.stop(deadline);
    this.registry.dismiss('the gateway is shutting down');
    await Promise.all([this.checks.stop(), this.callBacks.stop(), this.subsystems.stop()]);
    await isOver;
  }
}

/** Connections to subsystems end after the HTTP server, whose last calls go over them. */
@Injectable()
export class RegistryConnections implements Runnable {
  readonly name = 'subsystem connections';

  constructor(private readonly registry: SubsystemRegistry) {}

  start(): Promise<void> {
    return Promise.resolve();
  }

  stop(): Promise<void> {
    return this.registry.close();
  }
}
