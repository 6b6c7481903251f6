import { Schema, type Types } from 'mongoose';
import type { Principal } from '../../auth/principal.js';
import { schemaOptions } from '../../database/schema-options.js';

/** A stored ticket. Its secret is known to its holder only. */
export interface StreamTicketDocument {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly principalKind: Principal['kind'];
  readonly principalId: string;
  readonly role: Principal['role'];
  readonly keys: readonly string[];
  /** SHA-256 of the secret, in hex. */
  readonly digest: string;
  readonly createdAt: Date;
  /** When a stream on it last began; null until the first one did. */
  readonly startedAt: Date | null;
  /** By when its stream has to begin. */
  readonly firstUseBy: Date;
  /** Until when it lets its client come back, once used. */
  readonly resumableUntil: Date;
  readonly revokedAt: Date | null;
  /** When the store removes it: some time after it is over, so that who comes back with it is known. */
  readonly expiresAt: Date;
}

export const streamTicketSchema = new Schema<StreamTicketDocument>(
  {
    tenantId: { type: String, required: true },
    principalKind: { type: String, required: true },
    principalId: { type: String, required: true },
    role: { type: String, required: true },
    keys: { type: [String], required: true },
    digest: { type: String, required: true },
    createdAt: { type: Date, required: true },
    startedAt: { type: Date, default: null },
    firstUseBy: { type: Date, required: true },
    resumableUntil: { type: Date, required: true },
    revokedAt: { type: Date, default: null },
    expiresAt: { type: Date, required: true },
  },
  schemaOptions('stream_tickets'),
);
