import { Global, Module } from '@nestjs/common';
import { isLoopbackHost } from '../auth/index.js';
import { type HttpConfig, httpConfig } from '../http/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { type EgressConfig, egressConfig } from './egress.config.js';
import { EgressPolicy } from './egress-policy.js';
import { GuardedDialer } from './guarded-dialer.js';

@Global()
@Module({
  providers: [
    {
      provide: EgressPolicy,
      inject: [egressConfig.token, httpConfig.token],
      useFactory: ({ allow, deny }: EgressConfig, { host }: HttpConfig) =>
        new EgressPolicy({ allow, deny, servesLoopbackOnly: isLoopbackHost(host) }),
    },
    {
      provide: GuardedDialer,
      inject: [EgressPolicy, CLOCK],
      useFactory: (policy: EgressPolicy, clock: Clock) => new GuardedDialer(policy, clock),
    },
  ],
  exports: [EgressPolicy, GuardedDialer],
})
export class EgressModule {}
