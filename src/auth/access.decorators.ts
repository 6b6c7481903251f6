import { type CustomDecorator, type ExecutionContext, SetMetadata, createParamDecorator } from '@nestjs/common';
import type { Principal, Role } from './principal.js';
import type { Ticket } from './ticket-authority.js';

export const ACCESS = 'crowsnest:access';

export interface RoleOptions {
  /** A ticket in the query, `?ticket=`, may stand in for the key. */
  readonly orTicket?: boolean;
  /** Agents may call it too; the handler sees to it that they do so for themselves only. */
  readonly orAgent?: boolean;
}

/**
 * What a route asks of its caller. `metrics`: viewer of all tenants, or nobody where metrics are public. `agent`: the credential of an
 * agent. A route without is refused to everybody.
 */
export type Access = ({ readonly role: Role } & RoleOptions) | 'public' | 'metrics' | 'agent';

/** The least role of a user that may call the route. */
export const Roles = (role: Role, options: RoleOptions = {}): CustomDecorator =>
  SetMetadata(ACCESS, { role, ...options } satisfies Access);

/** No credential needed. */
export const Public = (): CustomDecorator => SetMetadata(ACCESS, 'public' satisfies Access);

/** For agents only, each with its own credential. */
export const AgentRoute = (): CustomDecorator => SetMetadata(ACCESS, 'agent' satisfies Access);

/** The metrics: viewer of all tenants, whose things they name, unless CROWSNEST_METRICS_PUBLIC lets everybody in. */
export const MetricsAccess = (): CustomDecorator => SetMetadata(ACCESS, 'metrics' satisfies Access);

/** A request that the guard has let through. */
export interface AuthenticatedRequest {
  principal?: Principal;
  /** What the caller came with, if the route takes tickets; `principal` is then the ticket's. */
  ticket?: Ticket;
}

/** The caller, put on the request by the guard. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!principal) throw new Error('a public route has no principal');
  return principal;
});

/** The ticket that the caller came with, put on the request by the guard. */
export const CurrentTicket = createParamDecorator(
  (_: unknown, context: ExecutionContext): Ticket | undefined =>
    context.switchToHttp().getRequest<AuthenticatedRequest>().ticket,
);
