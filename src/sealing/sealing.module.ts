import { Global, Module } from '@nestjs/common';
import { type DatabaseConfig, databaseConfig } from '../database/index.js';
import { RANDOM, type Random } from '../runtime/random.js';
import { Authenticators } from './authenticator.js';
import { Sealer } from './sealer.js';
import type { SealingKey } from './sealing-key.js';
import { sealingKeys } from './sealing-keys.js';
import { type SealingConfig, sealingConfig } from './sealing.config.js';

const SEALING_KEYS = Symbol('sealing keys');

@Global()
@Module({
  providers: [
    {
      provide: SEALING_KEYS,
      inject: [sealingConfig.token, databaseConfig.token, RANDOM],
      useFactory: ({ keys }: SealingConfig, { uri, dataDir }: DatabaseConfig, random: Random) =>
        sealingKeys({ keys, dataDir, usesEmbeddedStore: uri === undefined }, random),
    },
    {
      provide: Sealer,
      inject: [SEALING_KEYS, RANDOM],
      useFactory: (keys: readonly SealingKey[], random: Random) => new Sealer(keys, random),
    },
    {
      provide: Authenticators,
      inject: [SEALING_KEYS],
      useFactory: (keys: readonly SealingKey[]) => new Authenticators(keys),
    },
  ],
  exports: [Sealer, Authenticators],
})
export class SealingModule {}
