import { type CustomDecorator, type ExecutionContext, SetMetadata, createParamDecorator } from '@nestjs/common';
import type { Principal, Role } from './principal.js';

export const ACCESS = 'crowsnest:access';

/**
 * What a route asks of its caller. `metrics`: viewer, or nobody where metrics are public. A route without is refused to
 * everybody.
 */
export type Access = { readonly role: Role } | 'public' | 'metrics';

/** The least role that may call the route. */
export const Roles = (role: Role): CustomDecorator => SetMetadata(ACCESS, { role } satisfies Access);

/** No credential needed. */
export const Public = (): CustomDecorator => SetMetadata(ACCESS, 'public' satisfies Access);

/** The metrics: viewer, unless CROWSNEST_METRICS_PUBLIC lets everybody in. */
export const MetricsAccess = (): CustomDecorator => SetMetadata(ACCESS, 'metrics' satisfies Access);

/** A request that the guard has let through. */
export interface AuthenticatedRequest {
  principal?: Principal;
}

/** The caller, put on the request by the guard. */
export const CurrentPrincipal = createParamDecorator((_: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!principal) throw new Error('a public route has no principal');
  return principal;
});
