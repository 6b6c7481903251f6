import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { AppError } from '../errors/app-error.js';
import { ACCESS, type Access, type AuthenticatedRequest } from './access.decorators.js';
import { type AuthConfig, authConfig } from './auth.config.js';
import { Credentials } from './credential-authority.js';
import { FailedLogins } from './failed-logins.js';
import { BearerAuthentication } from './bearer-authentication.js';
import { ALL_TENANTS, type Principal, hasRole } from './principal.js';
import { StandingPrincipals } from './standing-principals.js';
import { type Ticket, Tickets, ticketRefused } from './ticket-authority.js';

/** Bearer credential or ticket to principal, principal against what the route asks. A route that says nothing is refused. */
@Injectable()
export class AuthGuard implements CanActivate {
  private readonly standing: StandingPrincipals;
  private readonly bearers: BearerAuthentication;

  constructor(
    private readonly reflector: Reflector,
    private readonly tickets: Tickets,
    credentials: Credentials,
    private readonly failedLogins: FailedLogins,
    @Inject(authConfig.token) private readonly config: AuthConfig,
  ) {
    this.standing = new StandingPrincipals(credentials, config);
    this.bearers = new BearerAuthentication(credentials, failedLogins, config);
  }

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const targets = [context.getHandler(), context.getClass()];
    const access = this.reflector.getAllAndOverride<Access | undefined>(ACCESS, targets);
    if (access === 'public' || (access === 'metrics' && this.config.metricsPublic)) return true;
    const request = context.switchToHttp().getRequest<Request & AuthenticatedRequest>();
    const secret = typeof access === 'object' && access.orTicket ? request.query['ticket'] : undefined;
    if (secret === undefined) {
      request.principal = await this.authenticate(request, access);
    } else {
      // Whoever sends a key as well has to send a right one.
      if (request.headers.authorization !== undefined) await this.authenticate(request, access);
      request.ticket = await this.findTicket(request, secret);
      request.principal = request.ticket.principal;
    }
    authorize(request.principal, access);
    return true;
  }

  private async authenticate(request: Request, access: Access | undefined): Promise<Principal> {
    const { authorization } = request.headers;
    const address = request.socket.remoteAddress ?? '';
    return this.bearers.authenticate({ authorization, address }, access === 'agent' ? 'agent' : 'user');
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
    if (!(await this.standing.stands(principal))) {
      throw ticketRefused(`is of "${principal.id}", who has no key with its rights any more`);
    }
    return ticket;
  }

  private unblockedAddress(request: Request): string {
    const address = request.socket.remoteAddress ?? '';
    this.failedLogins.requireUnblocked(address);
    return address;
  }
}

/** @throws AppError `auth.forbidden` */
function authorize(principal: Principal, access: Access | undefined): void {
  const { kind, id } = principal;
  const { role, orAgent = false } =
    typeof access === 'object' ? access : { role: access === 'metrics' ? ('viewer' as const) : undefined };
  if (access === 'agent') {
    if (kind === 'agent') return;
    throw new AppError('auth.forbidden', `only agents do this; "${id}" is a ${kind}`);
  }
  if (kind === 'agent' && orAgent) return;
  if (kind !== 'user') throw new AppError('auth.forbidden', `this is not for ${kind}s; "${id}" is one`);
  if (access === 'metrics') requireAllTenants(principal);
  if (role && hasRole(principal, role)) return;
  throw new AppError('auth.forbidden', `this needs the role ${role ?? 'of nobody'}; "${id}" is ${principal.role}`);
}

/** @throws AppError `auth.forbidden` */
function requireAllTenants({ id, tenantId }: Principal): void {
  if (tenantId === ALL_TENANTS) return;
  throw new AppError(
    'auth.forbidden',
    `the metrics name what all tenants have; "${id}" belongs to ${tenantId}. Take a key without @tenant, or set CROWSNEST_METRICS_PUBLIC=true`,
  );
}
