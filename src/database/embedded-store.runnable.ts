import { Inject, Injectable, Logger } from '@nestjs/common';
import { type EmbeddedStore, startEmbeddedStore } from '../embedded-store/index.js';
import { Lifecycle } from '../lifecycle/index.js';
import type { Runnable } from '../runtime/runnable.js';
import { type DatabaseConfig, databaseConfig } from './database.config.js';
import { StoreAddress } from './store-address.js';

/** Starts the embedded store where no MongoDB is configured. */
@Injectable()
export class EmbeddedStoreRunnable implements Runnable {
  readonly name = 'embedded store';
  private readonly log = new Logger('EmbeddedStore');
  private store: EmbeddedStore | undefined;

  constructor(
    private readonly address: StoreAddress,
    private readonly lifecycle: Lifecycle,
    @Inject(databaseConfig.token) private readonly config: DatabaseConfig,
  ) {}

  async start(): Promise<void> {
    if (!this.address.isEmbedded) return;
    this.store = await startEmbeddedStore({
      dataDir: this.config.dataDir,
      log: ({ level, ...line }) => this.log[level](line),
    });
    // Without its store the service can do nothing truthfully: it ends, and whoever runs it starts it again.
    this.store.onExit((error) => this.lifecycle.fail(error));
    this.address.setEmbedded(this.store.uri);
  }

  async stop(): Promise<void> {
    await this.store?.stop();
  }
}
