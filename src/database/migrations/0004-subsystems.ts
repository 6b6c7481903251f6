import type { Migration } from './migration.js';

export const subsystems: Migration = {
  schemaVersion: 4,
  description: 'create the collection of subsystems that were registered over REST',
  async up(database) {
    await database
      .collection('subsystems')
      .createIndexes([{ key: { subsystemId: 1 }, unique: true }, { key: { tenantId: 1, _id: 1 } }]);
  },
};
