export {
  ACCESS,
  type Access,
  AgentRoute,
  CurrentPrincipal,
  CurrentTicket,
  MetricsAccess,
  Public,
  Roles,
} from './access.decorators.js';
export { type AuthConfig, authConfig } from './auth.config.js';
export { AuthModule } from './auth.module.js';
export { type Bearer, BearerAuthentication } from './bearer-authentication.js';
export { type CredentialAuthority, Credentials, type FoundPrincipal } from './credential-authority.js';
export { FailedLogins } from './failed-logins.js';
export { isLoopbackAddress, isLoopbackHost } from './loopback.js';
export {
  ALL_TENANTS,
  DEFAULT_TENANT,
  type Principal,
  type Role,
  ROLES,
  SYSTEM_SCOPE,
  type Scope,
  hasRole,
  isInScope,
  tenantFilter,
} from './principal.js';
export { StandingPrincipals } from './standing-principals.js';
export { newCredential, readCredential, secretDigest } from './stored-credential.js';
export { type Ticket, type TicketAuthority, Tickets, ticketRefused } from './ticket-authority.js';
