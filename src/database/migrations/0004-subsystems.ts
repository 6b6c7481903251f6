import type { Migration } from './migration.js';

export const subsystems: Migration = {
  schemaVersion: 4,
  description: 'create the collection of subsystems that were registered over REST, and the indexes of credentials',
  async up(database) {
    await database
      .collection('subsystems')
      .createIndexes([{ key: { subsystemId: 1 }, unique: true }, { key: { tenantId: 1, _id: 1 } }]);
    // Credentials are found by the digest of their secret.
    await database.collection('api_keys').createIndex({ digest: 1 });
    await database.collection('bootstrap_tokens').createIndex({ digest: 1 });
    await database.collection('agents').createIndex({ 'credentials.digest': 1 });
  },
};
