import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { FakeClock } from '../../test/support/fake-clock.js';
import { openTestDatabase, type TestDatabase } from '../../test/support/test-database.js';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { parseLabelSelector } from '../http/label-selector.js';
import type { Manifest } from './workflow.js';
import { workflowSchema } from './workflow.schema.js';
import { type NewWorkflow, type WorkflowFilter, WorkflowsRepository } from './workflows.repository.js';

const id = (): string => new mongoose.Types.ObjectId().toHexString();
const SCOPE = { tenantId: 'default' };
const FOREIGN = { tenantId: 'other' };

/** Keys that are operators or paths to a database. */
const MANIFEST: Manifest = {
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name: 'settings', labels: { 'app.kubernetes.io/name': 'x' } },
  data: { $set: 'x', 'a.b': 'y', '': 'z' },
};

function workflow(change: Partial<NewWorkflow> = {}): NewWorkflow {
  return {
    id: id(),
    tenantId: 'default',
    name: 'shop',
    labels: { 'example.com/team': 'web', $where: '1' },
    clusterId: id(),
    namespace: 'shop',
    onFailure: 'stop',
    nodes: [{ id: 'settings', manifest: MANIFEST, timeoutMs: 600_000 }],
    edges: [],
    createdBy: 'ann',
    ...change,
  };
}

describe('WorkflowsRepository', () => {
  let database: TestDatabase;
  let workflows: WorkflowsRepository;
  const clock = new FakeClock();

  beforeAll(async () => {
    database = await openTestDatabase();
    workflows = new WorkflowsRepository(database.connection.model('Workflow', workflowSchema) as never, clock);
  });
  beforeEach(() => database.connection.collection('workflows').deleteMany({}));
  afterAll(() => database.close());

  async function names(filter: WorkflowFilter, scope = SCOPE): Promise<string[]> {
    return (await workflows.list(scope, filter, { limit: 10 })).map(({ name }) => name);
  }

  it('returns what was stored, whatever its keys', async () => {
    const given = workflow();
    const created = await workflows.create(given);
    const now = new Date(clock.now()).toISOString();
    expect(created).toEqual({ ...given, state: 'active', revision: 1, version: 1, createdAt: now, updatedAt: now });
    expect(await workflows.find(SCOPE, given.id)).toEqual(created);
  });

  it('refuses a name that is taken in the tenant', async () => {
    await workflows.create(workflow());
    await expect(workflows.create(workflow())).rejects.toMatchObject({ code: 'resource.name_taken' });
    await workflows.create(workflow({ tenantId: 'other' }));
    const third = await workflows.create(workflow({ name: 'third' }));
    const renamed = workflows.replace(SCOPE, third.id, 1, workflow(), true);
    await expect(renamed).rejects.toMatchObject({ code: 'resource.name_taken' });
  });

  it('shows and changes nothing of another tenant', async () => {
    const { id: foreign } = await workflows.create(workflow());
    expect(await workflows.find(FOREIGN, foreign)).toBeNull();
    expect(await workflows.exists(FOREIGN, foreign)).toBe(false);
    expect(await names({}, FOREIGN)).toEqual([]);
    expect(await workflows.replace(FOREIGN, foreign, 1, workflow({ name: 'stolen' }), true)).toBeNull();
    expect(await workflows.transition(FOREIGN, foreign, ['active'], 'archived')).toBeNull();
    expect(await workflows.beginDeletion(FOREIGN, foreign)).toBe(false);
    expect(await workflows.names(FOREIGN, [foreign])).toEqual(new Map());
    expect(await workflows.find(SYSTEM_SCOPE, foreign)).toMatchObject({ name: 'shop', version: 1, state: 'active' });
  });

  it('lists newest first, page by page, without manifests', async () => {
    for (const name of ['a', 'b', 'c']) await workflows.create(workflow({ name }));
    const [first, second] = await workflows.list(SCOPE, {}, { limit: 2 });
    expect([first?.name, second?.name]).toEqual(['c', 'b']);
    expect(first?.nodes).toEqual([{ id: 'settings' }]);
    const rest = await workflows.list(SCOPE, {}, { limit: 2, cursor: second?._id.toHexString() });
    expect(rest.map(({ name }) => name)).toEqual(['a']);
  });

  it('filters by name, cluster, namespace, state and labels', async () => {
    const a = await workflows.create(workflow({ name: 'a', labels: { env: 'prod' } }));
    await workflows.create(workflow({ name: 'b', namespace: 'other', labels: { env: 'test', team: 'web' } }));
    await workflows.transition(SCOPE, a.id, ['active'], 'archived');
    expect(await names({ name: ['a', 'x'] })).toEqual(['a']);
    expect(await names({ clusterId: [a.clusterId, id()] })).toEqual(['a']);
    expect(await names({ namespace: ['other'] })).toEqual(['b']);
    expect(await names({ state: ['archived'] })).toEqual(['a']);
    expect(await names({ labelSelector: parseLabelSelector('env in (prod, test),!team') })).toEqual(['a']);
    expect(await names({ labelSelector: parseLabelSelector('env!=prod') })).toEqual(['b']);
  });

  it('replaces the version it was asked to, once', async () => {
    const { id: same } = await workflows.create(workflow());
    const content = workflow({ name: 'renamed' });
    const results = await Promise.all([1, 2, 3].map(() => workflows.replace(SCOPE, same, 1, content, true)));
    expect(results.filter((each) => each !== null)).toHaveLength(1);
    expect(await workflows.find(SCOPE, same)).toMatchObject({ name: 'renamed', version: 2, revision: 2 });
    expect(await workflows.replace(SCOPE, same, 2, content, false)).toMatchObject({ version: 3, revision: 2 });
  });

  it('replaces active workflows only', async () => {
    const { id: same } = await workflows.create(workflow());
    await workflows.transition(SCOPE, same, ['active'], 'archiving');
    expect(await workflows.replace(SCOPE, same, 2, workflow(), true)).toBeNull();
    expect(await workflows.transition(SCOPE, same, ['active'], 'archived')).toBeNull();
    expect(await workflows.find(SCOPE, same)).toMatchObject({ state: 'archiving', version: 2 });
  });

  it('hides a workflow whose deletion has begun, until it ends or is taken back', async () => {
    const { id: same, clusterId } = await workflows.create(workflow());
    expect(await workflows.beginDeletion(SCOPE, same)).toBe(true);
    expect(await workflows.beginDeletion(SCOPE, same)).toBe(false);
    expect(await workflows.find(SCOPE, same)).toBeNull();
    expect(await names({})).toEqual([]);
    expect(await workflows.replace(SCOPE, same, 1, workflow(), true)).toBeNull();
    expect(await workflows.deleting(SYSTEM_SCOPE)).toEqual([same]);
    expect(await workflows.idsOfCluster(SYSTEM_SCOPE, clusterId)).toEqual([same]);
    await workflows.cancelDeletion(SCOPE, same);
    expect(await workflows.find(SCOPE, same)).toMatchObject({ version: 1 });
    await workflows.endDeletion(SCOPE, same);
    expect(await workflows.exists(SCOPE, same)).toBe(true);
    await workflows.beginDeletion(SCOPE, same);
    await workflows.endDeletion(SCOPE, same);
    expect(await workflows.deleting(SYSTEM_SCOPE)).toEqual([]);
    await workflows.create(workflow({ name: 'shop' }));
  });
});
