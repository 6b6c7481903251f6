import type { Types } from 'mongoose';
import type { StoredLabel } from '../../http/index.js';

/** A subsystem that a person registered: it comes back with the service. What is seen of it is not stored. */
export interface StoredSubsystem {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  /** Unique over all tenants. */
  readonly subsystemId: string;
  readonly name: string;
  readonly description: string;
  /** An origin: `http://10.0.0.7:8090`. */
  readonly endpoint: string;
  /** As pairs, because keys may hold dots and dollars. */
  readonly metadata: readonly StoredLabel[];
  readonly createdAt: Date;
  readonly createdBy: string;
}
