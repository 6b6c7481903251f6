import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import mongoose from 'mongoose';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { openTestDatabase, type TestDatabase } from '../../../test/support/test-database.js';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { inventoryEntrySchema } from './inventory-entry.schema.js';
import { type Claim, InventoryRepository } from './inventory.repository.js';

const id = (): string => new mongoose.Types.ObjectId().toHexString();

describe('InventoryRepository', () => {
  let database: TestDatabase;
  let inventory: InventoryRepository;
  const clock = new FakeClock();
  let claim: Claim;

  beforeAll(async () => {
    database = await openTestDatabase();
    inventory = new InventoryRepository(
      database.connection.model('InventoryEntry', inventoryEntrySchema) as never,
      clock,
    );
  });
  afterAll(() => database.close());

  beforeEach(() => {
    claim = {
      tenantId: 'default',
      workflowId: id(),
      nodeId: 'settings',
      clusterId: id(),
      group: '',
      version: 'v1',
      kind: 'ConfigMap',
      namespace: 'shop',
      name: 'settings',
      revision: 1,
    };
  });

  async function claimed(each: Claim) {
    const result = await inventory.claim(each);
    if (!result.claimed) throw new Error(`held by ${result.holder.workflowId}`);
    return result.entry;
  }

  it('gives a free object to the first and names it to the second', async () => {
    const entry = await claimed(claim);
    expect(entry).toMatchObject({ ...claim, uid: null, origin: null, appliedAt: null });
    const second = await inventory.claim({ ...claim, workflowId: id(), nodeId: 'mine' });
    expect(second).toEqual({ claimed: false, holder: entry });
  });

  it('renews a claim for a new revision and node, and keeps what is known of the object', async () => {
    const first = await claimed(claim);
    await inventory.recordUid(SYSTEM_SCOPE, first.id, 'uid-1', 'created');
    const again = await claimed({ ...claim, revision: 2, nodeId: 'renamed' });
    expect(again).toMatchObject({ id: first.id, uid: 'uid-1', origin: 'created', revision: 2, nodeId: 'renamed' });
  });

  it('gives an object to exactly one of many who want it at once', async () => {
    const claims = Array.from({ length: 10 }, (_, index) => ({ ...claim, workflowId: id(), nodeId: `n${index}` }));
    const results = await Promise.all(claims.map((each) => inventory.claim(each)));
    expect(results.filter((each) => each.claimed)).toHaveLength(1);
    const holders = results.map((each) => (each.claimed ? each.entry.workflowId : each.holder.workflowId));
    expect(new Set(holders).size).toBe(1);
  });

  it('lets one workflow claim twice at once', async () => {
    const results = await Promise.all([inventory.claim(claim), inventory.claim(claim)]);
    expect(results.map((each) => each.claimed)).toEqual([true, true]);
    expect(await inventory.ofWorkflow(SYSTEM_SCOPE, claim.workflowId)).toHaveLength(1);
  });

  it('tells objects apart by cluster, group, kind, namespace and name', async () => {
    await claimed(claim);
    for (const other of [
      { clusterId: id() },
      { group: 'apps' },
      { kind: 'Secret' },
      { namespace: 'b' },
      { name: 'b' },
    ]) {
      expect(await inventory.claim({ ...claim, workflowId: id(), ...other })).toMatchObject({ claimed: true });
    }
  });

  it('keeps the origin of an object and learns that of its successor', async () => {
    const entry = await claimed(claim);
    await inventory.recordUid(SYSTEM_SCOPE, entry.id, 'uid-1', 'created');
    await inventory.recordUid(SYSTEM_SCOPE, entry.id, 'uid-1', 'adopted');
    expect(await inventory.ofWorkflow(SYSTEM_SCOPE, claim.workflowId)).toMatchObject([
      { uid: 'uid-1', origin: 'created', appliedAt: new Date(clock.now()).toISOString() },
    ]);
    await inventory.recordUid(SYSTEM_SCOPE, entry.id, 'uid-2', 'adopted');
    expect(await inventory.ofWorkflow(SYSTEM_SCOPE, claim.workflowId)).toMatchObject([
      { uid: 'uid-2', origin: 'adopted' },
    ]);
  });

  it('releases an entry only while it is about the given object', async () => {
    const entry = await claimed(claim);
    await inventory.recordUid(SYSTEM_SCOPE, entry.id, 'uid-1', 'created');
    await inventory.release(SYSTEM_SCOPE, entry.id, null);
    await inventory.release(SYSTEM_SCOPE, entry.id, 'uid-0');
    expect(await inventory.ofWorkflow(SYSTEM_SCOPE, claim.workflowId)).toHaveLength(1);
    await inventory.release(SYSTEM_SCOPE, entry.id, 'uid-1');
    expect(await inventory.claim({ ...claim, workflowId: id() })).toMatchObject({ claimed: true });
  });

  it('finds which objects others hold', async () => {
    const entry = await claimed(claim);
    const objects = [claim, { ...claim, name: 'free' }];
    const other = { id: id(), clusterId: claim.clusterId };
    expect(await inventory.heldByOthers(SYSTEM_SCOPE, other, objects)).toEqual([entry]);
    expect(await inventory.heldByOthers(SYSTEM_SCOPE, { ...other, clusterId: id() }, objects)).toEqual([]);
    expect(await inventory.heldByOthers(SYSTEM_SCOPE, { ...other, id: claim.workflowId }, objects)).toEqual([]);
    expect(await inventory.heldByOthers(SYSTEM_SCOPE, other, [])).toEqual([]);
  });

  it('shows and releases nothing of another tenant', async () => {
    const entry = await claimed(claim);
    const foreign = { tenantId: 'other' };
    expect(await inventory.ofWorkflow(foreign, claim.workflowId)).toEqual([]);
    expect(await inventory.ofCluster(foreign, claim.clusterId)).toEqual([]);
    await inventory.release(foreign, entry.id);
    await inventory.releaseWorkflow(foreign, claim.workflowId);
    await inventory.releaseCluster(foreign, claim.clusterId);
    await inventory.recordUid(foreign, entry.id, 'uid-1', 'created');
    expect(await inventory.ofCluster(SYSTEM_SCOPE, claim.clusterId)).toEqual([entry]);
  });
});
