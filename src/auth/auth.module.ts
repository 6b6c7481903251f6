import { Module } from '@nestjs/common';
import { APP_GUARD } from '@nestjs/core';
import { AuthGuard } from './auth.guard.js';
import { Tickets } from './ticket-authority.js';

@Module({ providers: [Tickets, { provide: APP_GUARD, useClass: AuthGuard }], exports: [Tickets] })
export class AuthModule {}
