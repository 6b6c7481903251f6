import '../../../test/support/quiet-logger.js';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type TestDatabase, openTestDatabase } from '../../../test/support/test-database.js';
import { newId, repositoryOn } from '../../../test/support/watcher-room.js';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import type { Health } from '../resource.js';
import { summarizeHealth } from '../resource-health.js';
import type { ResourceDocument } from './resource.schema.js';
import type { ResourcesRepository } from './resources.repository.js';

const NOW = new Date(Date.UTC(2026, 0, 1));
const OURS = { tenantId: 'ours' };
const THEIRS = { tenantId: 'theirs' };

describe('ResourcesRepository', () => {
  let database: TestDatabase;
  let repository: ResourcesRepository;
  const workflowId = newId();
  const clusterId = newId();

  beforeAll(async () => {
    database = await openTestDatabase();
    repository = repositoryOn(database.connection);
  }, 30_000);
  afterAll(() => database.close());

  const create = async (tenantId: string, nodeId: string, health: Health = 'pending', workflow = workflowId) => {
    const place = { clusterId, apiVersion: 'v1', kind: 'ConfigMap', namespace: tenantId, name: nodeId };
    const created = await repository.createTracked({ tenantId, workflowId: workflow, nodeId, ...place }, NOW);
    if (!created) throw new Error('the node has a resource already');
    const changed = await repository.update(SYSTEM_SCOPE, created._id.toString(), 1, { health, freshness: 'live' });
    return changed as ResourceDocument;
  };

  it('keeps one resource for each node', async () => {
    const [first, second] = await Promise.all(
      [1, 2].map(() =>
        repository.createTracked(
          {
            tenantId: 'ours',
            workflowId,
            nodeId: 'one',
            clusterId,
            apiVersion: 'v1',
            kind: 'Pod',
            namespace: 'x',
            name: 'y',
          },
          NOW,
        ),
      ),
    );
    expect([first, second].filter((each) => each === null)).toHaveLength(1);
  });

  it('shows and changes nothing outside of the scope', async () => {
    const document = await create('theirs', 'hidden');
    const id = document._id.toString();
    expect(await repository.find(OURS, id)).toBeNull();
    expect(await repository.findNode(OURS, workflowId, 'hidden')).toBeNull();
    expect(await repository.update(OURS, id, document.version, { health: 'healthy' })).toBeNull();
    expect((await repository.page(OURS, {}, {}, 10)).map(({ tenantId }) => tenantId)).not.toContain('theirs');
    const set = { clusterId, kind: 'ConfigMap', namespace: 'theirs' };
    expect(await repository.setFreshness(OURS, set, 'stale', NOW)).toBe(0);
    expect(await repository.unwatch(OURS, newId(), NOW)).toBe(0);
    expect((await repository.find(THEIRS, id))?.freshness).toBe('live');
  });

  it('changes a resource only from the version that was read', async () => {
    const document = await create('ours', 'versioned');
    const id = document._id.toString();
    const changed = await repository.update(OURS, id, document.version, { health: 'healthy' });
    expect(changed).toMatchObject({ health: 'healthy', version: document.version + 1 });
    expect(await repository.update(OURS, id, document.version, { health: 'degraded' })).toBeNull();
    expect((await repository.find(OURS, id))?.health).toBe('healthy');
  });

  it('filters by the health that is shown', async () => {
    const tenant = { tenantId: 'filters' };
    for (const health of ['healthy', 'completed', 'degraded', 'unknown'] as const)
      await create('filters', health, health);
    const named = async (health: readonly Health[]): Promise<string[]> =>
      (await repository.page(tenant, { health }, {}, 10)).map(({ nodeId }) => nodeId).toSorted();
    expect(await named(['healthy', 'degraded'])).toEqual(['degraded', 'healthy']);
    expect(await named(['unknown'])).toEqual(['unknown']);
    await repository.setFreshness(SYSTEM_SCOPE, { clusterId, kind: 'ConfigMap', namespace: 'filters' }, 'stale', NOW);
    expect(await named(['healthy', 'completed'])).toEqual([]);
    expect(await named(['unknown'])).toEqual(['completed', 'healthy', 'unknown']);
    expect(await named(['degraded', 'unknown'])).toEqual(['completed', 'degraded', 'healthy', 'unknown']);
  });

  it('leaves out named resources when it changes a freshness, and counts the rest', async () => {
    const [kept, changed] = [await create('fresh', 'kept'), await create('fresh', 'changed')];
    const set = { clusterId, kind: 'ConfigMap', namespace: 'fresh' };
    expect(await repository.setFreshness(SYSTEM_SCOPE, set, 'stale', NOW, [kept._id.toString()])).toBe(1);
    expect((await repository.findSet(SYSTEM_SCOPE, set, 'stale')).map(({ nodeId }) => nodeId)).toEqual(['changed']);
    expect((await repository.find(SYSTEM_SCOPE, changed._id.toString()))?.version).toBe(changed.version + 1);
  });

  it('groups the health of workflows, also of those without resources', async () => {
    const [busy, empty] = [newId(), newId()];
    for (const [node, health] of [
      ['a', 'healthy'],
      ['b', 'healthy'],
      ['c', 'degraded'],
    ] as const) {
      await create('groups', node, health, busy);
    }
    const groups = await repository.healthGroups({ tenantId: 'groups' }, [busy, empty]);
    expect(summarizeHealth(groups.get(busy) ?? [])).toMatchObject({
      health: 'degraded',
      counts: { healthy: 2, degraded: 1 },
    });
    expect(groups.get(empty)).toEqual([]);
    expect((await repository.healthGroups(OURS, [busy])).get(busy)).toEqual([]);
  });
});
