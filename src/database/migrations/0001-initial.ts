import type { mongo } from 'mongoose';
import type { Migration } from './migration.js';

type Index = mongo.IndexDescription;

const tenantPage: Index = { key: { tenantId: 1, _id: -1 } };
const expiring: Index = { key: { expiresAt: 1 }, expireAfterSeconds: 0 };

const INDEXES: Readonly<Record<string, readonly Index[]>> = {
  clusters: [
    tenantPage,
    { key: { tenantId: 1, name: 1 }, unique: true },
    { key: { tenantId: 1, endpointKey: 1 }, unique: true },
    { key: { tenantId: 1, uid: 1 }, unique: true, partialFilterExpression: { uid: { $type: 'string' } } },
  ],
  cluster_health_samples: [{ key: { clusterId: 1, checkedAt: -1 } }, expiring],
  cluster_health_hours: [{ key: { clusterId: 1, hour: -1 }, unique: true }, expiring],
  workflows: [tenantPage, { key: { tenantId: 1, name: 1 }, unique: true }, { key: { clusterId: 1 } }],
  inventory: [
    { key: { clusterId: 1, group: 1, kind: 1, namespace: 1, name: 1 }, unique: true },
    { key: { workflowId: 1 } },
  ],
  resources: [
    tenantPage,
    { key: { workflowId: 1, nodeId: 1 }, unique: true },
    { key: { clusterId: 1, kind: 1, namespace: 1, name: 1 } },
  ],
  resource_history: [{ key: { resourceId: 1, at: -1 } }, expiring],
  runs: [
    { key: { workflowId: 1, _id: -1 } },
    { key: { workflowId: 1, active: 1 }, unique: true, partialFilterExpression: { active: true } },
    { key: { active: 1 }, partialFilterExpression: { active: true } },
  ],
  idempotency_keys: [{ key: { tenantId: 1, principal: 1, key: 1 }, unique: true }, expiring],
};

export const initial: Migration = {
  schemaVersion: 1,
  description: 'create the collections and their indexes',
  async up(database, signal) {
    for (const [collection, indexes] of Object.entries(INDEXES)) {
      signal.throwIfAborted();
      await database.collection(collection).createIndexes([...indexes]);
    }
  },
};
