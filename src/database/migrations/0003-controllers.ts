import type { mongo } from 'mongoose';
import type { Migration } from './migration.js';

type Index = mongo.IndexDescription;

/** `leases` and `controllers` hold one document for each duty and reconciler, found by `_id`. */
const INDEXES: Readonly<Record<string, readonly Index[]>> = {
  audit_logs: [
    { key: { tenantId: 1, _id: -1 } },
    { key: { 'actor.id': 1, _id: -1 } },
    { key: { action: 1, _id: -1 } },
    { key: { 'target.id': 1, _id: -1 } },
    // Failures are few.
    { key: { outcome: 1, _id: -1 }, partialFilterExpression: { outcome: 'failure' } },
    // Sealing walks those of `null`, verification and retention the others.
    { key: { segment: 1, _id: 1 } },
  ],
  tenants: [{ key: { name: 1 }, unique: true }],
  api_keys: [{ key: { tenantId: 1, _id: -1 } }, { key: { tenantId: 1, name: 1 }, unique: true }],
  bootstrap_tokens: [{ key: { tenantId: 1, _id: -1 } }, { key: { endsAt: 1 } }],
  agents: [
    { key: { tenantId: 1, _id: -1 } },
    { key: { tenantId: 1, name: 1 }, unique: true },
    { key: { status: 1, health: 1, lastSeenAt: 1 } },
  ],
  jobs: [
    { key: { tenantId: 1, _id: -1 } },
    { key: { tenantId: 1, state: 1, _id: -1 } },
    { key: { state: 1, type: 1, tenantId: 1 } },
    // Claims walk these two and stop.
    { key: { lane: 1, rank: 1, _id: 1 }, partialFilterExpression: { state: 'queued' } },
    { key: { tenantId: 1, rank: 1, _id: 1 }, partialFilterExpression: { state: 'throttled' } },
    // Sparse: of thousands of finished jobs, only those are in them that have the field.
    { key: { 'lease.expiresAt': 1 }, sparse: true },
    { key: { 'lease.claimKey': 1 }, sparse: true },
    { key: { runAt: 1 }, sparse: true },
    { key: { waitingSince: 1 }, sparse: true },
    // The database itself holds a tenant to its limit of running jobs.
    { key: { tenantId: 1, slot: 1 }, unique: true, partialFilterExpression: { slot: { $gte: 0 } } },
    {
      key: { tenantId: 1, idempotencyKey: 1 },
      unique: true,
      partialFilterExpression: { idempotencyKey: { $type: 'string' } },
    },
    { key: { expiresAt: 1 }, expireAfterSeconds: 0 },
  ],
};

/** Always exists. */
const DEFAULT_TENANT = {
  plan: 'free',
  labels: [],
  limits: { queued: null, running: null },
  clocks: {},
  deletingUntil: null,
  version: 1,
  createdBy: 'crowsnest',
};

export const controllers: Migration = {
  schemaVersion: 3,
  description: 'create the indexes of jobs, tenants, agents and the audit log',
  async up(database, signal) {
    for (const [collection, indexes] of Object.entries(INDEXES)) {
      signal.throwIfAborted();
      await database.collection(collection).createIndexes([...indexes]);
    }
    const { localTime: now } = await database.command({ hello: 1 });
    await database
      .collection('tenants')
      .updateOne(
        { name: 'default' },
        { $setOnInsert: { ...DEFAULT_TENANT, createdAt: now, updatedAt: now } },
        { upsert: true },
      );
  },
};
