import { type CanActivate, type ExecutionContext, Inject, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import type { Request } from 'express';
import { AppError } from '../errors/app-error.js';
import { ACCESS, type Access, type AuthenticatedRequest } from './access.decorators.js';
import { principalOf } from './api-key.js';
import { type AuthConfig, authConfig } from './auth.config.js';
import { Credentials, type FoundPrincipal } from './credential-authority.js';
import { FailedLogins } from './failed-logins.js';
import { ALL_TENANTS, type Principal, hasRole } from './principal.js';
import { LOCAL, StandingPrincipals } from './standing-principals.js';
import { type Ticket, Tickets, ticketRefused } from './ticket-authority.js';

const REALM = { headers: { 'WWW-Authenticate': 'Bearer realm="crowsnest"' } };

/** Bearer credential or ticket to principal, principal against what the route asks. A route that says nothing is refused. */
@Injectable()
export class AuthGuard implements CanActivate {
  private readonly standing: StandingPrincipals;

  constructor(
    private readonly reflector: Reflector,
    private readonly tickets: Tickets,
    private readonly credentials: Credentials,
    private readonly failedLogins: FailedLogins,
    @Inject(authConfig.token) private readonly config: AuthConfig,
  ) {
    this.standing = new StandingPrincipals(credentials, config);
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
    const { apiKeys } = this.config;
    const sent = /^Bearer +(\S+)$/i.exec(request.headers.authorization ?? '')?.[1];
    const address = apiKeys || sent !== undefined ? this.unblockedAddress(request) : '';
    const found = sent === undefined ? undefined : await this.findSent(sent);
    if (found !== undefined && found !== 'over' && found !== 'unknown') return found;
    // Users need no key there. A wrong credential of a stored kind is told nevertheless: an agent would not be itself.
    if (!apiKeys && found === undefined && access !== 'agent') return LOCAL;
    if (sent !== undefined && found !== 'over') this.failedLogins.record(address);
    if (sent !== undefined) throw new AppError('auth.required', 'the credential is unknown, expired or revoked', REALM);
    const what = access === 'agent' ? "the agent's credential" : 'a key of CROWSNEST_API_KEYS or of POST /api-keys';
    throw new AppError('auth.required', `send ${what} as "Authorization: Bearer <secret>"`, REALM);
  }

  private async findSent(sent: string): Promise<FoundPrincipal | undefined> {
    return principalOf(this.config.apiKeys ?? [], sent) ?? this.credentials.find(sent);
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
