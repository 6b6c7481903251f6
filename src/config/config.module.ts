import { type DynamicModule, Global, Module } from '@nestjs/common';
import type { LoadedConfig } from './load-config.js';

/** Provides each parsed slice by its token. Never reads the environment itself. */
@Global()
@Module({})
export class ConfigModule {
  static forRoot(loaded: LoadedConfig): DynamicModule {
    const providers = [...loaded].map(([token, value]) => ({ provide: token, useValue: value }));
    return { module: ConfigModule, providers, exports: providers };
  }
}
