import { Global, Module } from '@nestjs/common';
import { LifecycleRegistry } from './lifecycle-registry.js';
import { Lifecycle } from './lifecycle.js';
import { Readiness } from './readiness.js';

@Global()
@Module({
  providers: [LifecycleRegistry, Readiness, Lifecycle],
  exports: [LifecycleRegistry, Readiness, Lifecycle],
})
export class LifecycleModule {}
