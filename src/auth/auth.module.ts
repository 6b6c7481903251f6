import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { type AuthConfig, authConfig } from './auth.config.js';
import { AuthGuard } from './auth.guard.js';
import { BearerAuthentication } from './bearer-authentication.js';
import { Credentials } from './credential-authority.js';
import { FailedLogins } from './failed-logins.js';
import { StandingPrincipals } from './standing-principals.js';
import { Tickets } from './ticket-authority.js';

const failedLogins = {
  provide: FailedLogins,
  useFactory: (config: AuthConfig, clock: Clock) => new FailedLogins(config.failedLoginsPerAddress, clock),
  inject: [authConfig.token, CLOCK],
};

@Module({
  providers: [
    BearerAuthentication,
    Credentials,
    StandingPrincipals,
    Tickets,
    failedLogins,
    { provide: APP_GUARD, useClass: AuthGuard },
  ],
  exports: [BearerAuthentication, Credentials, StandingPrincipals, Tickets, FailedLogins],
})
export class AuthModule {}
