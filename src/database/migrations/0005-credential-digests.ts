import type { Migration } from './migration.js';

export const credentialDigests: Migration = {
  schemaVersion: 5,
  description: 'create the indexes by which credentials are found',
  async up(database) {
    await database.collection('api_keys').createIndex({ digest: 1 });
    await database.collection('bootstrap_tokens').createIndex({ digest: 1 });
    await database.collection('agents').createIndex({ 'credentials.digest': 1 });
  },
};
