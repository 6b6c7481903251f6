import type { Types } from 'mongoose';
import { type StoredLabel, fromStoredLabels } from '../http/labels.js';
import type { Pool, Tenant, TenantLimits } from './tenant.js';

/** Milliseconds since the epoch, by the server's time. */
export interface StoredClock {
  /** Where the tenant's next job starts, unless that is in the past. */
  readonly next: number;
  /** Of the last tick: where its first job starts, and when it was. */
  readonly start: number;
  readonly at: number;
}

export interface TenantDocument {
  readonly _id: Types.ObjectId;
  readonly name: string;
  readonly plan: string;
  readonly labels: readonly StoredLabel[];
  readonly limits: TenantLimits;
  readonly clocks: Readonly<Partial<Record<Pool, StoredClock>>>;
  /** While it is being deleted no job is taken; a deletion that was cut holds this off for a minute only. */
  readonly deletingUntil: Date | null;
  /** The basis by which all its waiting jobs are known to be ranked; absent until the first look. */
  readonly rankedAs?: string;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly createdBy: string;
}

export function toTenant(document: TenantDocument): Tenant {
  const { _id, name, plan, labels, limits, version, createdAt, updatedAt, createdBy } = document;
  return {
    id: _id.toHexString(),
    name,
    plan,
    labels: fromStoredLabels(labels),
    limits: { queued: limits.queued, running: limits.running },
    version,
    createdAt: createdAt.toISOString(),
    updatedAt: updatedAt.toISOString(),
    createdBy,
  };
}
