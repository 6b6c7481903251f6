import { Global, Module } from '@nestjs/common';
import { ScheduleModule } from '@nestjs/schedule';
import { LifecycleRegistry } from './lifecycle-registry.js';
import { Lifecycle } from './lifecycle.js';
import { PeriodicTasks } from './periodic-tasks.js';
import { Readiness } from './readiness.js';

@Global()
@Module({
  imports: [ScheduleModule.forRoot()],
  providers: [LifecycleRegistry, Readiness, Lifecycle, PeriodicTasks],
  exports: [LifecycleRegistry, Readiness, Lifecycle, PeriodicTasks],
})
export class LifecycleModule {}
