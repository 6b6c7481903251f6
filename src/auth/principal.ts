/** In ascending order of power: read; create, change, execute, retry, cancel; credentials, keys, tokens, tenants, audit. */
export const ROLES = ['viewer', 'operator', 'admin'] as const;
export type Role = (typeof ROLES)[number];

/** `*` is not a DNS label, so no tenant can be called so. */
export const ALL_TENANTS = '*';
/** The tenant of whatever is created by somebody who belongs to all tenants and names none. */
export const DEFAULT_TENANT = 'default';

/** What of the stored data a caller may see. Taken by every repository method; outside of it there is only "not found". */
export interface Scope {
  /** A tenant's name, or `ALL_TENANTS`. */
  readonly tenantId: string;
}

/** Who is calling. */
export interface Principal extends Scope {
  readonly kind: 'user' | 'agent' | 'subsystem';
  /** Stable name, shown in logs and stored as `createdBy`. Never a secret. */
  readonly id: string;
  readonly role: Role;
}

/** The scope of the service's own background work. */
export const SYSTEM_SCOPE: Scope = { tenantId: ALL_TENANTS };

export function hasRole(principal: Principal, needed: Role): boolean {
  return ROLES.indexOf(principal.role) >= ROLES.indexOf(needed);
}

/** The filter that every query starts with. */
export function tenantFilter(scope: Scope): { tenantId?: string } {
  return scope.tenantId === ALL_TENANTS ? {} : { tenantId: scope.tenantId };
}

export function isInScope(scope: Scope, tenantId: string): boolean {
  return scope.tenantId === ALL_TENANTS || scope.tenantId === tenantId;
}
