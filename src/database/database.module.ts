import { Global, Module } from '@nestjs/common';
import { MongooseModule } from '@nestjs/mongoose';
import type { Connection } from 'mongoose';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { DatabaseConnection } from './database-connection.js';
import { DatabaseHealth } from './database.health.js';
import { EmbeddedStoreRunnable } from './embedded-store.runnable.js';
import { DatabaseTime, SERVER_TIME } from './server-time.js';
import { StoreAddress } from './store-address.js';

/** An error of an idle connection is the driver's to mend; without a listener it would end the process. */
function withErrorListener(connection: Connection): Connection {
  return connection.on('error', () => undefined);
}

@Global()
@Module({
  imports: [
    // Without a URI Mongoose makes the connection and does not open it: the phase `database` does.
    MongooseModule.forRootAsync({
      useFactory: () => ({ lazyConnection: true, autoIndex: false, connectionFactory: withErrorListener }),
    }),
  ],
  providers: [
    StoreAddress,
    EmbeddedStoreRunnable,
    DatabaseConnection,
    DatabaseHealth,
    { provide: SERVER_TIME, useClass: DatabaseTime },
  ],
  exports: [StoreAddress, DatabaseConnection, DatabaseHealth, SERVER_TIME],
})
export class DatabaseModule {
  constructor(registry: LifecycleRegistry, store: EmbeddedStoreRunnable, connection: DatabaseConnection) {
    registry.register('store', store);
    registry.register('database', connection);
  }
}
