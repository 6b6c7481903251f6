import { Global, Module } from '@nestjs/common';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { type EgressConfig, egressConfig } from './egress.config.js';
import { EgressPolicy } from './egress-policy.js';
import { GuardedDialer } from './guarded-dialer.js';
import { SERVES_LOOPBACK_ONLY } from './serves-loopback-only.js';

@Global()
@Module({
  providers: [
    {
      provide: EgressPolicy,
      inject: [egressConfig.token, { token: SERVES_LOOPBACK_ONLY, optional: true }],
      useFactory: (config: EgressConfig, servesLoopbackOnly = false) =>
        new EgressPolicy({ ...config, servesLoopbackOnly }),
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
