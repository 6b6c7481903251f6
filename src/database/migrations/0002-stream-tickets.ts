import type { Migration } from './migration.js';

export const streamTickets: Migration = {
  schemaVersion: 2,
  description: 'create the collection of stream tickets',
  async up(database) {
    await database.collection('stream_tickets').createIndexes([
      { key: { digest: 1 }, unique: true },
      // Counts the unused ones of a principal.
      { key: { tenantId: 1, principalId: 1, startedAt: 1 } },
      { key: { expiresAt: 1 }, expireAfterSeconds: 0 },
    ]);
  },
};
