import { Global, Module } from '@nestjs/common';
import { type DatabaseConfig, databaseConfig } from '../database/index.js';
import { RANDOM, type Random } from '../runtime/random.js';
import { Sealer } from './sealer.js';
import { sealingKeys } from './sealing-keys.js';
import { type SealingConfig, sealingConfig } from './sealing.config.js';

@Global()
@Module({
  providers: [
    {
      provide: Sealer,
      inject: [sealingConfig.token, databaseConfig.token, RANDOM],
      useFactory: ({ keys }: SealingConfig, { uri, dataDir }: DatabaseConfig, random: Random) =>
        new Sealer(sealingKeys({ keys, dataDir, usesEmbeddedStore: uri === undefined }, random), random),
    },
  ],
  exports: [Sealer],
})
export class SealingModule {}
