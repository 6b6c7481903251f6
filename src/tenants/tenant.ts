export interface TenantLimits {
  /** Jobs that wait or are scheduled; null: any number. */
  readonly queued: number | null;
  /** Jobs that may be offered to agents or be with them; more wait as `throttled`. null: any number. */
  readonly running: number | null;
}

export interface Tenant {
  readonly id: string;
  /** What other documents and keys carry as `tenantId`. */
  readonly name: string;
  readonly plan: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly limits: TenantLimits;
  readonly version: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly createdBy: string;
}

/** Agents of the tenant itself, or of the platform, for any tenant. */
export const POOLS = ['tenant', 'platform'] as const;
export type Pool = (typeof POOLS)[number];
