import type { Tenant } from './tenant.js';

/** A stored change. Coalesced by the tenant's id: another of the same name is another tenant. */
export interface TenantChanged {
  readonly tenant: Tenant;
  readonly change: 'created' | 'updated' | 'deleted';
}

declare module '../realtime/bus/event-map.js' {
  interface EventMap {
    'tenant.changed': TenantChanged;
  }
}
