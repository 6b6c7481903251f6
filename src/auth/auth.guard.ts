import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { AppError } from '../errors/app-error.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { ACCESS, type Access, type AuthenticatedRequest } from './access.decorators.js';
import { isConfigured, principalOf } from './api-key.js';
import { type AuthConfig, authConfig } from './auth.config.js';
import { FailedLogins } from './failed-logins.js';
import { ALL_TENANTS, type Principal, hasRole } from './principal.js';
import { type Ticket, Tickets, ticketRefused } from './ticket-authority.js';

/** Who calls a service that serves loopback only, where every local user is the owner. */
const LOCAL: Principal = { kind: 'user', id: 'local', role: 'admin', tenantId: ALL_TENANTS };

/** Bearer credential or ticket to principal, principal against the route's role. A route that says nothing is refused. */
@Injectable()
export class AuthGuard implements CanActivate {
  private readonly failedLogins: FailedLogins;

  constructor(
    private readonly reflector: Reflector,
    private readonly tickets: Tickets,
    @Inject(authConfig.token) private readonly config: AuthConfig,
    @Inject(CLOCK) clock: Clock,
  ) {
    this.failedLogins = new FailedLogins(config.failedLoginsPerAddress, clock);
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const targets = [context.getHandler(), context.getClass()];
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, targets);
    if (access === 'public' || (access === 'metrics' && this.config.metricsPublic)) return true;
    const { role, orTicket = false } = access === 'metrics' ? { role: 'viewer' as const } : (access ?? {});
    const request = context.switchToHttp().getRequest<Request & AuthenticatedRequest>();
    const secret = orTicket ? request.query['ticket'] : undefined;
    if (secret === undefined) {
      request.principal = this.authenticate(request);
    } else {
      // Whoever sends a key as well has to send a right one.
      if (request.headers.authorization !== undefined) this.authenticate(request);
      request.ticket = await this.findTicket(request, secret);
      request.principal = request.ticket.principal;
    }
    const { principal } = request;
    if (!role || !hasRole(principal, role)) {
      throw new AppError(
        'auth.forbidden',
        `this needs the role ${role ?? 'of nobody'}; "${principal.id}" is ${principal.role}`,
      );
    }
    return true;
  }

  private authenticate(request: Request): Principal {
    const { apiKeys } = this.config;
    if (!apiKeys) return LOCAL;
    const address = this.unblockedAddress(request);
    const secret = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const principal = secret === undefined ? undefined : principalOf(apiKeys, secret);
    if (principal) return principal;
    if (secret !== undefined) this.failedLogins.record(address);
    const detail =
      secret === undefined
        ? 'send a key of CROWSNEST_API_KEYS as "Authorization: Bearer <secret>"'
        : 'the key is not one of CROWSNEST_API_KEYS';
    throw new AppError('auth.required', detail, { headers: { 'WWW-Authenticate': 'Bearer realm="crowsnest"' } });
  }

  /** The ticket must exist, and whoever asked for it must still be somebody with the same rights. */
  private async findTicket(request: Request, secret: unknown): Promise<Ticket> {
    const address = this.unblockedAddress(request);
    const ticket = typeof secret === 'string' ? await this.tickets.find(secret) : 'unknown';
    if (ticket === 'over') throw ticketRefused('has expired or was revoked');
    if (ticket === 'unknown') {
      this.failedLogins.record(address);
      throw ticketRefused('is unknown');
    }
    const { principal } = ticket;
    const stands = this.config.apiKeys ? isConfigured(this.config.apiKeys, principal) : isLocal(principal);
    if (!stands) throw ticketRefused(`is of "${principal.id}", who has no key with its rights any more`);
    return ticket;
  }

  private unblockedAddress(request: Request): string {
    const address = request.socket.remoteAddress ?? '';
    const blockedForMs = this.failedLogins.blockedForMs(address);
    if (blockedForMs === 0) return address;
    throw new AppError('request.rate_limited', 'too many wrong credentials came from this address; try later', {
      headers: { 'Retry-After': String(Math.ceil(blockedForMs / 1_000)) },
    });
  }
}

function isLocal({ id, role, tenantId }: Principal): boolean {
  return id === LOCAL.id && role === LOCAL.role && tenantId === LOCAL.tenantId;
}
