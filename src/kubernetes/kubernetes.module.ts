import { Global, Module } from '@nestjs/common';
import { LifecycleRegistry } from '../lifecycle/index.js';
import { KubernetesApis } from './kubernetes-apis.js';
import { PodServiceAccount } from './service-account.js';
import { UserAgent } from './user-agent.js';

@Global()
@Module({
  providers: [KubernetesApis, UserAgent, { provide: PodServiceAccount, useFactory: () => new PodServiceAccount() }],
  exports: [KubernetesApis, PodServiceAccount],
})
export class KubernetesModule {
  constructor(registry: LifecycleRegistry, apis: KubernetesApis) {
    // Before everything that calls API servers, so that it is closed after all of that has stopped.
    registry.register('database', apis);
  }
}
