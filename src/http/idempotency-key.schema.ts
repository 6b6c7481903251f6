import { Schema } from 'mongoose';
import { schemaOptions } from '../database/schema-options.js';

/** The first request with a key: while it runs, and its answer for those that repeat it. */
export interface IdempotencyKeyDocument {
  readonly tenantId: string;
  readonly principal: string;
  readonly key: string;
  /** SHA-256 of method, path and body: the same key with another request is a mistake. */
  readonly requestHash: string;
  /** Until when the first request counts as running; a process that died leaves it behind. Absent once answered. */
  readonly runningUntil?: Date;
  readonly answer?: {
    readonly status: number;
    readonly location: string | null;
    readonly body: string;
    /** What the route noted of it, see `RepeatableRequest`. */
    readonly note?: string;
  };
  readonly expiresAt: Date;
}

export const idempotencyKeySchema = new Schema<IdempotencyKeyDocument>(
  {
    tenantId: { type: String, required: true },
    principal: { type: String, required: true },
    key: { type: String, required: true },
    requestHash: { type: String, required: true },
    runningUntil: Date,
    answer: {
      type: new Schema(
        { status: Number, location: String, body: String, note: String },
        { _id: false, strict: 'throw' },
      ),
      default: undefined,
    },
    expiresAt: { type: Date, required: true },
  },
  schemaOptions('idempotency_keys'),
);
