import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import '../../test/support/quiet-logger.js';
import { newId, openWorkflowRoom, type WorkflowRoom } from '../../test/support/workflow-room.js';
import { ALL_TENANTS, type Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { CreateWorkflow, ListWorkflowsQuery, ReplaceWorkflow } from './workflow.dto.js';
import type { Workflow } from './workflow.js';

const ANN: Principal = { kind: 'user', id: 'ann', role: 'operator', tenantId: 'default' };
const STRANGER: Principal = { ...ANN, id: 'eve', tenantId: 'other' };
const ROOT: Principal = { ...ANN, id: 'root', tenantId: ALL_TENANTS };
const CANARY = 'canary-7f3a9';

const configMap = (name: string): Record<string, unknown> => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { name },
});
const secret = (values: Record<string, string>): Record<string, unknown> => ({
  apiVersion: 'v1',
  kind: 'Secret',
  metadata: { name: 'keys' },
  stringData: values,
});

describe('WorkflowsService', () => {
  let room: WorkflowRoom;
  let clusterId: string;

  beforeAll(async () => {
    room = await openWorkflowRoom();
  });
  afterAll(() => room.close());
  beforeEach(async () => {
    for (const name of ['workflows', 'inventory', 'runs']) await room.connection.collection(name).deleteMany({});
    room.resources.healths.clear();
    room.resources.forgotten.length = 0;
    clusterId = room.clusters.add();
  });

  function input(change: Record<string, unknown> = {}): CreateWorkflow {
    const nodes = [{ id: 'settings', manifest: configMap('settings') }];
    return CreateWorkflow.parse({ name: 'shop', clusterId, namespace: 'shop', nodes, ...change });
  }

  function replacement(version: number, change: Record<string, unknown> = {}): ReplaceWorkflow {
    return ReplaceWorkflow.parse({ version, ...input(change) });
  }

  async function claimFor(workflow: Workflow, change: Record<string, unknown> = {}) {
    const object = { group: '', version: 'v1', kind: 'ConfigMap', namespace: workflow.namespace, name: 'settings' };
    return room.inventory.claim({
      tenantId: workflow.tenantId,
      workflowId: workflow.id,
      clusterId: workflow.clusterId,
      nodeId: 'settings',
      revision: 1,
      ...object,
      ...change,
    });
  }

  async function errorOf(promise: Promise<unknown>): Promise<AppError> {
    const error: unknown = await promise.then(
      () => undefined,
      (reason: unknown) => reason,
    );
    if (!(error instanceof AppError)) throw new Error('expected an AppError', { cause: error });
    return error;
  }

  describe('create', () => {
    it('answers with the stored workflow and its defaults', async () => {
      const workflow = await room.service.create(ANN, input());
      expect(workflow).toMatchObject({
        tenantId: 'default',
        name: 'shop',
        labels: {},
        onFailure: 'stop',
        state: 'active',
        revision: 1,
        version: 1,
        health: null,
        since: null,
        counts: {},
        lastRun: null,
        createdBy: 'ann',
        nodes: [{ id: 'settings', manifest: configMap('settings'), timeoutMs: 600_000 }],
      });
      expect(await room.service.get(ANN, workflow.id)).toEqual(workflow);
    });

    it('belongs to the tenant of its cluster, whoever makes it', async () => {
      const elsewhere = room.clusters.add({ tenantId: 'other' });
      const workflow = await room.service.create(ROOT, input({ clusterId: elsewhere }));
      expect(workflow.tenantId).toBe('other');
      await expect(room.service.get(ANN, workflow.id)).rejects.toMatchObject({ code: 'resource.not_found' });
      expect(await room.service.get(STRANGER, workflow.id)).toEqual(workflow);
    });

    it.each([
      ['a cluster that is not there', () => ({ clusterId: newId() }), 'clusterId'],
      ["another tenant's cluster", () => ({ clusterId: room.clusters.add({ tenantId: 'other' }) }), 'clusterId'],
      [
        'a namespace the cluster is not used in',
        () => ({ clusterId: room.clusters.add({ namespaces: ['a'] }) }),
        'namespace',
      ],
      ['a broken rule', () => ({ nodes: [{ id: 'a', manifest: configMap('A') }] }), 'nodes[0].manifest.metadata.name'],
      [
        'a marker with nothing behind it',
        () => ({ nodes: [{ id: 'a', manifest: secret({ k: '[sealed]' }) }] }),
        'nodes[0].manifest.stringData.k',
      ],
    ])('refuses %s and stores nothing', async (_, change, path) => {
      const error = await errorOf(room.service.create(ANN, input(change())));
      expect(error).toMatchObject({ code: 'request.invalid', errors: [{ path }] });
      expect(await room.connection.collection('workflows').countDocuments()).toBe(0);
    });

    it('leaves out what kubectl writes without meaning', async () => {
      const manifest = { ...configMap('x'), metadata: { name: 'x', creationTimestamp: null }, status: {} };
      const workflow = await room.service.create(ANN, input({ nodes: [{ id: 'a', manifest }] }));
      expect(workflow.nodes[0]?.manifest).toEqual(configMap('x'));
    });

    it('takes YAML, and tells its mistakes by document', async () => {
      const query = { name: 'shop', clusterId, namespace: 'shop', onFailure: 'continue' } as const;
      const text = JSON.stringify(configMap('a'));
      const workflow = await room.service.createFromYaml(
        ANN,
        `${text}\n---\n${JSON.stringify(secret({ k: CANARY }))}`,
        query,
      );
      expect(workflow).toMatchObject({ onFailure: 'continue', nodes: [{ id: 'configmap-a' }, { id: 'secret-keys' }] });
      const error = await errorOf(room.service.createFromYaml(ANN, `${text}\n---\nkind: Namespace`, query));
      expect(error.errors[0]).toMatchObject({ path: 'documents[1].kind' });
      expect(error.errors[0]?.message).toMatch(/^line 3: /);
    });
  });

  describe('Secrets', () => {
    const nodes = (values: Record<string, string>) => [{ id: 'keys', manifest: secret(values) }];

    async function plaintextOf(id: string): Promise<unknown> {
      const stored = await room.workflows.find(ANN, id);
      return stored?.nodes.map((node) => room.secrets.open(stored, node).stringData);
    }

    it('are in no answer and not readable in the store', async () => {
      const workflow = await room.service.create(ANN, input({ nodes: nodes({ password: CANARY }) }));
      expect(workflow.nodes[0]?.manifest.stringData).toEqual({ password: '[sealed]' });
      const stored = JSON.stringify(await room.connection.collection('workflows').findOne({}));
      expect(stored).not.toContain(CANARY);
      expect(stored).not.toContain(Buffer.from(CANARY).toString('base64'));
      expect(await plaintextOf(workflow.id)).toEqual([{ password: CANARY }]);
    });

    it('stay what they were where a PUT carries the marker', async () => {
      const { id } = await room.service.create(ANN, input({ nodes: nodes({ a: 'one', b: 'two' }) }));
      const change = { nodes: nodes({ a: '[sealed]', b: 'three', c: 'four' }) };
      const replaced = await room.service.replace(ANN, id, replacement(1, change));
      expect(replaced.revision).toBe(2);
      expect(await plaintextOf(id)).toEqual([{ a: 'one', b: 'three', c: 'four' }]);
    });

    it('make no new revision where nothing changed', async () => {
      const { id } = await room.service.create(ANN, input({ nodes: nodes({ a: 'one', b: 'two' }) }));
      const same = await room.service.replace(ANN, id, replacement(1, { nodes: nodes({ a: '[sealed]', b: 'two' }) }));
      expect(same).toMatchObject({ revision: 1, version: 2 });
    });

    it('of one workflow cannot be opened as those of another', async () => {
      const { id } = await room.service.create(ANN, input({ nodes: nodes({ a: 'one' }) }));
      const stored = await room.workflows.find(ANN, id);
      const [node] = stored?.nodes ?? [];
      if (!node) throw new Error('expected a node');
      expect(() => room.secrets.open({ tenantId: 'default', id: newId() }, node)).toThrow('another context');
    });

    it('whose stored value is not the marker of this node are asked for', async () => {
      const { id } = await room.service.create(ANN, input({ nodes: nodes({ a: 'one' }) }));
      const change = { nodes: [{ id: 'renamed', manifest: secret({ a: '[sealed]' }) }] };
      const error = await errorOf(room.service.replace(ANN, id, replacement(1, change)));
      expect(error.errors).toMatchObject([{ path: 'nodes[0].manifest.stringData.a' }]);
    });
  });

  describe('replace', () => {
    it('makes a new revision of a changed definition, and none of a new name', async () => {
      const { id } = await room.service.create(ANN, input());
      const renamed = await room.service.replace(ANN, id, replacement(1, { name: 'store', labels: { a: 'b' } }));
      expect(renamed).toMatchObject({ name: 'store', labels: { a: 'b' }, version: 2, revision: 1 });
      const changed = await room.service.replace(ANN, id, replacement(2, { name: 'store', onFailure: 'continue' }));
      expect(changed).toMatchObject({ version: 3, revision: 2, labels: {} });
    });

    it('tells the current version to whoever comes with another', async () => {
      const { id } = await room.service.create(ANN, input());
      await room.service.replace(ANN, id, replacement(1));
      const error = await errorOf(room.service.replace(ANN, id, replacement(1, { name: 'late' })));
      expect(error).toMatchObject({ code: 'resource.version_conflict', details: { currentVersion: 2 } });
      expect(await room.service.get(ANN, id)).toMatchObject({ name: 'shop', version: 2 });
    });

    it('lets one of two at the same time win', async () => {
      const { id } = await room.service.create(ANN, input());
      const results = await Promise.allSettled(
        ['a', 'b'].map((name) => room.service.replace(ANN, id, replacement(1, { name }))),
      );
      expect(results.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected']);
    });

    it('is refused while archiving and afterwards', async () => {
      const { id } = await room.service.create(ANN, input());
      for (const state of ['archiving', 'archived'] as const) {
        await room.workflows.transition(ANN, id, ['active', 'archiving'], state);
        const error = await errorOf(room.service.replace(ANN, id, replacement(1)));
        expect(error).toMatchObject({ code: 'workflow.not_active', details: { state } });
      }
    });

    it('does not leave objects behind in another place', async () => {
      const workflow = await room.service.create(ANN, input());
      await claimFor(workflow);
      for (const change of [{ namespace: 'other' }, { clusterId: room.clusters.add() }]) {
        const error = await errorOf(room.service.replace(ANN, workflow.id, replacement(1, change)));
        expect(error).toMatchObject({ code: 'workflow.in_use', details: { objects: [{ name: 'settings' }] } });
      }
      await room.inventory.releaseWorkflow(ANN, workflow.id);
      expect(await room.service.replace(ANN, workflow.id, replacement(1, { namespace: 'other' }))).toMatchObject({
        namespace: 'other',
        revision: 2,
      });
    });

    it('does not move a workflow to another tenant', async () => {
      const { id } = await room.service.create(ANN, input());
      const elsewhere = room.clusters.add({ tenantId: 'other' });
      const error = await errorOf(room.service.replace(ROOT, id, replacement(1, { clusterId: elsewhere })));
      expect(error.errors).toMatchObject([{ path: 'clusterId' }]);
    });

    it('finds nothing of another tenant', async () => {
      const { id } = await room.service.create(ANN, input());
      expect(await errorOf(room.service.replace(STRANGER, id, replacement(1)))).toMatchObject({
        code: 'resource.not_found',
      });
      expect(await errorOf(room.service.remove(STRANGER, id, { abandon: true }))).toMatchObject({
        code: 'resource.not_found',
      });
    });
  });

  describe('list', () => {
    const since = '2026-01-01T00:00:00.000Z';

    it('shows health and last run, but no manifests', async () => {
      const { id } = await room.service.create(
        ANN,
        input({ nodes: [{ id: 'keys', manifest: secret({ a: CANARY }) }] }),
      );
      room.resources.healths.set(id, { health: 'degraded', since, counts: { degraded: 1, healthy: 2 } });
      await room.addRun(id, { state: 'failed' });
      const last = await room.addRun(id, { state: 'running', active: true });
      const page = await room.service.list(ANN, ListWorkflowsQuery.parse({}));
      expect(page).toMatchObject({
        items: [
          {
            id,
            nodeCount: 1,
            health: 'degraded',
            since,
            counts: { degraded: 1, healthy: 2 },
            lastRun: { id: last, state: 'running' },
          },
        ],
        nextCursor: null,
      });
      expect(JSON.stringify(page)).not.toMatch(/manifest|canary/);
    });

    it('leads through all of one health, page by page', async () => {
      const expected: string[] = [];
      for (let index = 0; index < 9; index += 1) {
        const { id, name } = await room.service.create(ANN, input({ name: `w${index}` }));
        room.resources.healths.set(id, { health: index % 3 === 0 ? 'degraded' : 'healthy', since, counts: {} });
        if (index % 3 !== 0) expected.unshift(name);
      }
      const found: string[] = [];
      let cursor: string | undefined;
      do {
        const query = ListWorkflowsQuery.parse({ health: 'healthy', limit: 4, cursor });
        const page = await room.service.list(ANN, query);
        expect(page.items.length).toBeLessThanOrEqual(4);
        found.push(...page.items.map(({ name }) => name));
        cursor = page.nextCursor ?? undefined;
      } while (cursor !== undefined);
      expect(found).toEqual(expected);
      const several = await room.service.list(ANN, ListWorkflowsQuery.parse({ health: ['healthy', 'degraded'] }));
      expect(several.items).toHaveLength(9);
    });
  });

  describe('remove', () => {
    it('removes a workflow with its runs and resources', async () => {
      const { id } = await room.service.create(ANN, input());
      await room.addRun(id);
      await room.service.remove(ANN, id, { abandon: false });
      expect(await errorOf(room.service.get(ANN, id))).toMatchObject({ code: 'resource.not_found' });
      expect(room.resources.forgotten).toEqual([id]);
      for (const name of ['workflows', 'runs']) expect(await room.connection.collection(name).countDocuments()).toBe(0);
    });

    it('is refused while there are objects, unless they are abandoned', async () => {
      const workflow = await room.service.create(ANN, input());
      await claimFor(workflow);
      const error = await errorOf(room.service.remove(ANN, workflow.id, { abandon: false }));
      expect(error).toMatchObject({
        code: 'workflow.in_use',
        details: {
          objectCount: 1,
          objects: [{ kind: 'ConfigMap', namespace: 'shop', name: 'settings', nodeId: 'settings' }],
        },
      });
      expect(await room.service.get(ANN, workflow.id)).toEqual(workflow);
      await room.service.remove(ANN, workflow.id, { abandon: true });
      expect(await room.connection.collection('inventory').countDocuments()).toBe(0);
    });

    it('is refused during a run, even when objects are abandoned', async () => {
      const { id } = await room.service.create(ANN, input());
      const runId = await room.addRun(id, { state: 'running', active: true });
      const error = await errorOf(room.service.remove(ANN, id, { abandon: true }));
      expect(error).toMatchObject({ code: 'workflow.run_active', details: { runId } });
      expect(await room.workflows.exists(ANN, id)).toBe(true);
    });

    it('is taken back when a run begins just before the workflow is hidden', async () => {
      const { id } = await room.service.create(ANN, input());
      const { workflows } = room;
      const hide = workflows.beginDeletion.bind(workflows);
      workflows.beginDeletion = async (...given) => {
        await room.addRun(id, { state: 'running', active: true });
        return hide(...given);
      };
      const error = await errorOf(room.service.remove(ANN, id, { abandon: false }));
      workflows.beginDeletion = hide;
      expect(error.code).toBe('workflow.run_active');
      expect(await workflows.exists(ANN, id)).toBe(true);
    });

    it('is ended by the next start when a crash interrupts it', async () => {
      const halfRemoved = await room.service.create(ANN, input());
      const running = await room.service.create(ANN, input({ name: 'running' }));
      await claimFor(halfRemoved);
      await room.addRun(running.id, { state: 'running', active: true });
      for (const { id } of [halfRemoved, running]) await room.workflows.beginDeletion(ANN, id);
      await room.removal.start(new AbortController().signal);
      expect(await room.connection.collection('inventory').countDocuments()).toBe(0);
      expect(await room.connection.collection('workflows').distinct('name')).toEqual(['running']);
      expect(await room.workflows.exists(ANN, running.id)).toBe(true);
    });
  });
});
