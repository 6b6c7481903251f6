import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  ANN,
  configMapNode,
  type ExecutionRoom,
  Lifeline,
  openExecutionRoom,
  outcomesOf,
  pathOfNode,
} from '../../../test/support/execution-room.js';
import { settle } from '../../../test/support/fake-clock.js';
import { KubernetesApiError } from '../../kubernetes/index.js';
import type { ArchiveMode } from '../runs/active-run.js';
import type { Run, StoredWorkflow } from '../workflow.js';

const NODES = ['a', 'b', 'c'].map((id) => configMapNode(id, id, 'blue', 10_000));
const EDGES = [
  { source: 'a', target: 'b', waitFor: 'applied' },
  { source: 'b', target: 'c', waitFor: 'applied' },
] as const;

describe('an archive run', () => {
  let room: ExecutionRoom;
  let workflow: StoredWorkflow;

  beforeAll(async () => {
    room = await openExecutionRoom();
  });
  afterAll(() => room.close());
  beforeEach(() => prepare());

  async function prepare(): Promise<void> {
    room.server.onCall = () => undefined;
    for (const path of room.server.paths()) room.server.remove(path);
    workflow = await room.createWorkflow({ nodes: NODES, edges: EDGES });
    const process = room.process();
    await process.executor.start();
    const { id } = await process.service.execute(ANN, workflow.id);
    expect((await room.ended(workflow.id, id)).state).toBe('succeeded');
  }

  async function archive(mode: ArchiveMode = 'delete', process = room.process()): Promise<Run> {
    await process.executor.start();
    const { id } = await process.service.archive(ANN, workflow.id, mode);
    return room.ended(workflow.id, id, process.clock);
  }
  const stateOf = async (): Promise<string | undefined> => (await room.workflows.find(ANN, workflow.id))?.state;

  it('deletes in reverse order, with the UID as precondition, then ends the watching', async () => {
    const uids = new Map(room.server.paths().map((path) => [path, room.server.metadata(path)?.uid]));
    const deleted: string[] = [];
    room.server.onCall = ({ method, path, body }) => {
      if (method !== 'DELETE') return;
      deleted.push(path);
      expect(body).toMatchObject({ preconditions: { uid: uids.get(path) } });
      expect(room.resources.expected).toContain(uids.get(path));
    };
    const run = await archive();
    expect(run).toMatchObject({ kind: 'archive', state: 'succeeded' });
    expect(outcomesOf(run)).toEqual({ a: 'deleted', b: 'deleted', c: 'deleted' });
    expect(deleted).toEqual([pathOfNode('c'), pathOfNode('b'), pathOfNode('a')]);
    expect(await room.inventory.ofWorkflow(ANN, workflow.id)).toEqual([]);
    expect(room.resources.untracked).toContain(workflow.id);
    expect(await stateOf()).toBe('archived');
    await expect(archive()).rejects.toMatchObject({ code: 'workflow.not_active' });
  });

  it('keeps everything where that is asked for, and still knows what it has', async () => {
    const before = room.server.paths();
    expect(outcomesOf(await archive('keep'))).toEqual({ a: 'kept', b: 'kept', c: 'kept' });
    expect(room.server.paths()).toEqual(before);
    expect(await room.inventory.ofWorkflow(ANN, workflow.id)).toHaveLength(3);
    expect([await stateOf(), room.resources.untracked.includes(workflow.id)]).toEqual(['archived', true]);
  });

  it('keeps what somebody made anew, relabelled, or had before us', async () => {
    const labels = room.server.metadata(pathOfNode('a'))?.labels ?? {};
    room.server.remove(pathOfNode('a'));
    room.server.edit(pathOfNode('a'), { manager: 'kubectl', labels, values: { '.data.color': 'blue' } });
    room.server.edit(pathOfNode('b'), { manager: 'helm', labels: { 'app.kubernetes.io/managed-by': 'Helm' } });
    const [, , entry] = await room.inventory.ofWorkflow(ANN, workflow.id);
    await room.inventory.recordApply(ANN, entry?.id ?? '', {
      uid: entry?.uid ?? null,
      origin: 'adopted',
      manifestHash: null,
      lastApply: { runId: 'x', outcome: 'unchanged' },
    });
    const run = await archive();
    expect(run).toMatchObject({
      state: 'succeeded',
      nodes: [{ reason: 'Recreated' }, { reason: 'NotOurs' }, { reason: 'NotCreatedByUs' }],
    });
    expect(outcomesOf(run)).toEqual({ a: 'kept', b: 'kept', c: 'kept' });
    expect(room.server.paths()).toHaveLength(3);
  });

  it('tells what was gone already, and what it never had', async () => {
    room.server.remove(pathOfNode('c'));
    const run = await archive();
    expect(run.nodes[2]).toMatchObject({ outcome: 'deleted', reason: 'NotFound' });
  });

  it('names what remains with its finalizers after the time of the node, and goes on', async () => {
    room.server.edit(pathOfNode('b'), { manager: 'x', finalizers: ['example.test/hold'] });
    const run = await archive();
    expect(run).toMatchObject({ state: 'failed', message: '1 of 3 nodes: b (remains)' });
    expect(outcomesOf(run)).toEqual({ a: 'deleted', b: 'remains', c: 'deleted' });
    expect(run.nodes[1]).toMatchObject({ managers: ['example.test/hold'] });
    expect(await room.inventory.ofWorkflow(ANN, workflow.id)).toMatchObject([{ nodeId: 'b' }]);
    expect(await stateOf()).toBe('archived');
  });

  it('stays active when an object could not be asked to go, and spares what it depends on', async () => {
    room.server.onCall = ({ method, path }) => {
      if (method === 'DELETE' && path === pathOfNode('b')) {
        throw new KubernetesApiError('forbidden', 'no', { status: 403, reason: 'Forbidden' });
      }
    };
    const run = await archive();
    expect(outcomesOf(run)).toEqual({ a: 'skipped', b: 'failed', c: 'deleted' });
    expect(run.nodes[1]?.message).toContain('not allowed to delete configmaps in namespace shop');
    expect(await stateOf()).toBe('active');
    expect(room.resources.untracked).not.toContain(workflow.id);
    room.server.onCall = () => undefined;
    expect(outcomesOf(await archive())).toEqual({ a: 'deleted', b: 'deleted', c: 'deleted' });
  });

  it('can be cancelled: what was told to go and is still there is named', async () => {
    room.server.edit(pathOfNode('c'), { manager: 'x', finalizers: ['example.test/hold'] });
    const process = room.process();
    await process.executor.start();
    const { id } = await process.service.archive(ANN, workflow.id, 'delete');
    while (room.server.metadata(pathOfNode('c'))?.deletionTimestamp === undefined) await settle(1);
    await process.service.cancel(ANN, workflow.id, id);
    const run = await room.ended(workflow.id, id);
    expect(run.state).toBe('cancelled');
    expect(outcomesOf(run)).toEqual({ a: 'skipped', b: 'skipped', c: 'remains' });
    expect(await stateOf()).toBe('active');
    expect(room.server.metadata(pathOfNode('b'))?.deletionTimestamp).toBeUndefined();
  });

  it.each([
    ['before', false],
    ['after', true],
  ])(
    'comes to the same end, killed %s any operation',
    async (_when, takesEffect) => {
      const lifeline = new Lifeline();
      await archive('delete', room.process(lifeline));
      expect(lifeline.operations).toBeGreaterThan(30);
      for (let dieAt = 2; dieAt <= lifeline.operations; dieAt += 1) {
        await prepare();
        const mortal = new Lifeline(dieAt, takesEffect);
        const first = room.process(mortal);
        await first.executor.start();
        const { id } = await first.service.archive(ANN, workflow.id, 'delete');
        while (!mortal.isDead && (await room.runs.find(ANN, workflow.id, id))?.state === 'running') {
          await first.clock.advance(250);
        }
        const second = room.process();
        await second.executor.start();
        const run = await room.ended(workflow.id, id, second.clock);
        expect({ dieAt, state: run.state, outcomes: outcomesOf(run) }).toEqual({
          dieAt,
          state: 'succeeded',
          outcomes: { a: 'deleted', b: 'deleted', c: 'deleted' },
        });
        expect([room.server.paths(), await room.inventory.ofWorkflow(ANN, workflow.id), await stateOf()]).toEqual([
          [],
          [],
          'archived',
        ]);
      }
    },
    300_000,
  );
});
