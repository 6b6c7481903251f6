/** Port: what belongs to a tenant in a room to the right. Registered at TenantsService, which may not import it. */
export interface TenantUsage {
  /** What of it is in the way of a deletion: `3 unfinished jobs`; null if nothing. */
  inUse(tenantId: string): Promise<string | null>;
  /** Removes what is left, so that a later tenant of the same name sees nothing of it. */
  forget(tenantId: string): Promise<void>;
}
