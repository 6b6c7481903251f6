import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { settle } from '../../../test/support/fake-clock.js';
import {
  ANN,
  configMapNode,
  type ExecutionRoom,
  Lifeline,
  openExecutionRoom,
  outcomesOf,
  pathOfNode,
} from '../../../test/support/execution-room.js';
import { abortable } from '../../runtime/abortable.js';
import { StopReason } from '../../runtime/stop-reason.js';
import { KubernetesApiError } from '../../kubernetes/index.js';
import type { Run, StoredWorkflow, WorkflowEdge } from '../workflow.js';

const never = new AbortController().signal;
const abandoned = AbortSignal.abort(new StopReason('the test'));

async function until(isTrue: () => boolean | Promise<boolean>): Promise<void> {
  for (const deadline = performance.now() + 4_000; performance.now() < deadline;) {
    if (await isTrue()) return;
    await settle(1);
  }
  throw new Error('it has not become so');
}

describe('RunExecutor', () => {
  let room: ExecutionRoom;

  beforeAll(async () => {
    room = await openExecutionRoom();
  });
  afterAll(() => room.close());
  beforeEach(() => {
    room.server.onCall = () => undefined;
    room.resources.allHealthy = true;
    for (const path of room.server.paths()) room.server.remove(path);
  });

  const outcomeOf = async (workflow: StoredWorkflow, nodeId: string): Promise<string | undefined> =>
    (await room.runs.last(ANN, workflow.id))?.nodes.find((node) => node.nodeId === nodeId)?.outcome;

  async function execute(workflow: StoredWorkflow, process = room.process()): Promise<Run> {
    await process.executor.start();
    const { id } = await process.service.execute(ANN, workflow.id);
    return room.ended(workflow.id, id, process.clock);
  }

  it('applies in the order of the edges, whatever the graph, and each node once', async () => {
    const graph = fc
      .array(fc.array(fc.nat({ max: 6 }), { maxLength: 3 }), { minLength: 1, maxLength: 7 })
      .chain((rows) => {
        const edges = rows.flatMap((sources, target) =>
          [...new Set(sources)].filter((source) => source < target).map((source) => [source, target] as const),
        );
        return fc.tuple(
          fc.constant(rows.length),
          fc.constant(edges),
          fc.array(fc.boolean(), { minLength: edges.length, maxLength: edges.length }),
        );
      });
    await fc.assert(
      fc.asyncProperty(graph, async ([size, pairs, healthy]) => {
        for (const path of room.server.paths()) room.server.remove(path);
        const nodes = Array.from({ length: size }, (_, index) => configMapNode(`n${index}`));
        const edges = pairs.map(([source, target], index): WorkflowEdge => ({
          source: `n${source}`,
          target: `n${target}`,
          waitFor: healthy[index] ? 'healthy' : 'applied',
        }));
        const applied: string[] = [];
        room.server.onCall = ({ method, path }) => {
          if (method === 'PATCH') applied.push(path.split('/').at(-1) ?? '');
        };
        const run = await execute(await room.createWorkflow({ nodes, edges }));
        expect(run.state).toBe('succeeded');
        expect(applied.toSorted()).toEqual(nodes.map(({ id }) => id).toSorted());
        for (const { source, target } of edges) {
          expect(applied.indexOf(source)).toBeLessThan(applied.indexOf(target));
        }
      }),
      { numRuns: 25 },
    );
  }, 60_000);

  it('publishes each stored step once and in order, and ends with the result', async () => {
    const workflow = await room.createWorkflow({ nodes: [configMapNode('a'), configMapNode('b')] });
    const run = await execute(workflow);
    const told = room.published.filter(({ workflowId }) => workflowId === workflow.id);
    expect(told.map(({ version }) => version)).toEqual(told.map((_, index) => index + 1));
    expect(told.at(-1)).toEqual(run);
    expect(run.endedAt).not.toBeNull();
  });

  it.each([
    ['stop', { a: 'failed', b: 'skipped', c: 'skipped' }],
    ['continue', { a: 'failed', b: 'skipped', c: 'created' }],
  ] as const)('after a failure does what onFailure %s says', async (onFailure, expected) => {
    const workflow = await room.createWorkflow({
      onFailure,
      nodes: [configMapNode('a'), configMapNode('b'), configMapNode('c'), configMapNode('first')],
      edges: [
        { source: 'a', target: 'b', waitFor: 'applied' },
        { source: 'first', target: 'c', waitFor: 'healthy' },
      ],
    });
    room.resources.allHealthy = false;
    room.server.onCall = ({ path, method }) => {
      if (path === pathOfNode('a') && method === 'PATCH') {
        throw new KubernetesApiError('forbidden', 'no', { status: 403, reason: 'Forbidden' });
      }
    };
    const process = room.process();
    await process.executor.start();
    const { id } = await process.service.execute(ANN, workflow.id);
    await until(async () => (await outcomeOf(workflow, 'a')) === 'failed');
    if (onFailure === 'continue') {
      await until(async () => (await outcomeOf(workflow, 'first')) === 'waiting');
      room.resources.see(workflow.id, 'first', { health: 'healthy' });
    }
    const run = await room.ended(workflow.id, id);
    expect(outcomesOf(run)).toEqual({ ...expected, first: 'created' });
    expect(run).toMatchObject({ state: 'failed', message: '1 of 4 nodes: a (failed)' });
    expect(room.resources.waits).toBe(0);
  });

  it('begins a target once its source is healthy, or skips it when the time is over', async () => {
    room.resources.allHealthy = false;
    const nodes = [configMapNode('a', 'a', 'blue', 10_000), configMapNode('b')];
    const edges = [{ source: 'a', target: 'b', waitFor: 'healthy' as const }];
    const process = room.process();
    await process.executor.start();

    const good = await room.createWorkflow({ nodes, edges });
    const first = await process.service.execute(ANN, good.id);
    await until(() => room.resources.waits === 1);
    expect(room.server.metadata(pathOfNode('b'))).toBeUndefined();
    room.resources.see(good.id, 'a', { health: 'healthy' });
    expect(outcomesOf(await room.ended(good.id, first.id))).toEqual({ a: 'created', b: 'created' });

    for (const path of room.server.paths()) room.server.remove(path);
    const slow = await room.createWorkflow({ nodes, edges });
    const second = await process.service.execute(ANN, slow.id);
    await until(() => room.resources.waits === 1);
    room.resources.see(slow.id, 'a', { health: 'degraded', reason: 'CrashLoopBackOff', message: 'it crashes' });
    await process.clock.advance(9_999);
    expect((await room.runs.last(ANN, slow.id))?.state).toBe('running');
    await process.clock.advance(1);
    const run = await room.ended(slow.id, second.id);
    expect(outcomesOf(run)).toEqual({ a: 'timed-out', b: 'skipped' });
    expect(run.nodes[0]).toMatchObject({
      reason: 'CrashLoopBackOff',
      message: 'applied, but still degraded after 10000 ms: it crashes',
    });
    expect(process.clock.pendingTimers).toBe(0);
  });

  it('lets exactly one of many executions at once begin', async () => {
    const workflow = await room.createWorkflow();
    const process = room.process();
    await process.executor.start();
    const results = await Promise.allSettled(
      Array.from({ length: 10 }, () => process.service.execute(ANN, workflow.id)),
    );
    const begun = results.flatMap((result) => (result.status === 'fulfilled' ? [result.value.id] : []));
    expect(begun).toHaveLength(1);
    for (const result of results) {
      if (result.status === 'rejected') {
        expect(result.reason).toMatchObject({ code: 'workflow.run_active', details: { runId: begun[0] } });
      }
    }
    await room.ended(workflow.id, begun[0] ?? '');
  });

  it('cancels what has not begun, and ends what has truthfully', async () => {
    room.resources.allHealthy = false;
    const workflow = await room.createWorkflow({
      nodes: [configMapNode('a'), configMapNode('b')],
      edges: [{ source: 'a', target: 'b', waitFor: 'healthy' }],
    });
    const process = room.process();
    await process.executor.start();
    const { id } = await process.service.execute(ANN, workflow.id);
    await until(() => room.resources.waits === 1);
    await process.service.cancel(ANN, workflow.id, id);
    const run = await room.ended(workflow.id, id);
    expect(run).toMatchObject({ state: 'cancelled', nodes: [{ outcome: 'created' }, { reason: 'RunCancelled' }] });
    await expect(process.service.cancel(ANN, workflow.id, id)).rejects.toMatchObject({ code: 'run.not_active' });
    await expect(process.service.cancel({ ...ANN, tenantId: 'other' }, workflow.id, id)).rejects.toMatchObject({
      code: 'resource.not_found',
    });
  });

  it('works on the definition that it began with, whatever a PUT does in between', async () => {
    room.resources.allHealthy = false;
    const nodes = [configMapNode('a'), configMapNode('b')];
    const edges = [{ source: 'a', target: 'b', waitFor: 'healthy' as const }];
    const workflow = await room.createWorkflow({ nodes, edges });
    const process = room.process();
    await process.executor.start();
    const { id } = await process.service.execute(ANN, workflow.id);
    await until(() => room.resources.waits === 1);
    const changed = { ...workflow, nodes: [configMapNode('a'), configMapNode('b', 'b', 'red')] };
    await room.workflows.replace(ANN, workflow.id, workflow.version, changed, true);
    room.resources.see(workflow.id, 'a', { health: 'healthy' });
    expect(await room.ended(workflow.id, id)).toMatchObject({ state: 'succeeded', revision: 1 });
    expect(room.server.value(pathOfNode('b'), '.data.color')).toBe('blue');
  });

  it('refuses what begins during shutdown, and keeps the newest runs alone', async () => {
    const workflow = await room.createWorkflow();
    room.readiness.state = 'draining';
    const process = room.process();
    await process.executor.start();
    await expect(process.service.execute(ANN, workflow.id)).rejects.toMatchObject({ code: 'service.draining' });
    room.readiness.state = 'ready';
    for (let count = 0; count < 53; count += 1) await room.addRun(workflow.id);
    const run = await execute(workflow, process);
    await process.executor.stop(never);
    const { items } = await process.service.list(ANN, workflow.id, { limit: 200 });
    expect(items).toHaveLength(50);
    expect(items[0]).toEqual(run);
  });

  it('stops between two nodes and leaves the rest to the next start', async () => {
    room.resources.allHealthy = false;
    const workflow = await room.createWorkflow({
      nodes: [configMapNode('a'), configMapNode('b'), configMapNode('c')],
      edges: [
        { source: 'a', target: 'b', waitFor: 'healthy' },
        { source: 'b', target: 'c', waitFor: 'applied' },
      ],
    });
    const first = room.process();
    await first.executor.start();
    const { id } = await first.service.execute(ANN, workflow.id);
    await until(() => room.resources.waits === 1);
    await first.executor.stop(never);
    expect([room.resources.waits, first.clock.pendingTimers]).toEqual([0, 0]);
    expect(await room.runs.find(ANN, workflow.id, id)).toMatchObject({
      state: 'running',
      nodes: [{ outcome: 'waiting' }, {}, {}],
    });

    room.resources.allHealthy = true;
    await room.process().executor.start();
    expect(await room.ended(workflow.id, id)).toMatchObject({ state: 'succeeded' });
    expect(room.server.metadata(pathOfNode('a'))?.generation).toBe(1);
  });

  it('cuts a call that outlasts the deadline, and applies that node again later', async () => {
    const workflow = await room.createWorkflow();
    let calls = 0;
    room.server.onCall = ({ signal }) => {
      calls += 1;
      return abortable(new Promise<never>(() => undefined), signal ?? never);
    };
    const first = room.process();
    await first.executor.start();
    const { id } = await first.service.execute(ANN, workflow.id);
    await until(() => calls === 1);
    await first.executor.stop(abandoned);
    expect(await outcomeOf(workflow, 'a')).toBe('applying');
    room.server.onCall = () => undefined;
    await room.process().executor.start();
    expect(outcomesOf(await room.ended(workflow.id, id))).toEqual({ a: 'created' });
  });

  it('goes on after errors of the database, and gives a run up that fails again and again', async () => {
    const workflow = await room.createWorkflow();
    const advance = room.runs.advance.bind(room.runs);
    let failures = 3;
    room.runs.advance = (...args) => {
      failures -= 1;
      return failures >= 0 ? Promise.reject(new Error('the database is away')) : advance(...args);
    };
    try {
      expect(outcomesOf(await execute(workflow))).toEqual({ a: 'created' });
    } finally {
      room.runs.advance = advance;
    }
    const process = room.process();
    const track = room.resources.track.bind(room.resources);
    room.resources.track = () => Promise.reject(new TypeError('a mistake of ours'));
    try {
      const run = await execute(await room.createWorkflow({ nodes: [configMapNode('broken')] }), process);
      expect(run).toMatchObject({ state: 'failed', nodes: [{ outcome: 'failed', reason: 'internal' }] });
    } finally {
      room.resources.track = track;
    }
  });

  describe('killed and started again', () => {
    const edges = [
      { source: 'a', target: 'b', waitFor: 'healthy' },
      { source: 'b', target: 'c', waitFor: 'applied' },
    ] as const;
    const nodesOf = (color: string) => ['a', 'b', 'c', 'd'].map((id) => configMapNode(id, id, color));

    /** a and b exist since an earlier run and are to be changed; c and d are to be created. */
    async function prepare(): Promise<StoredWorkflow> {
      for (const path of room.server.paths()) room.server.remove(path);
      const workflow = await room.createWorkflow({ nodes: nodesOf('blue'), edges });
      await execute(workflow);
      room.server.remove(pathOfNode('c'));
      room.server.remove(pathOfNode('d'));
      const content = { ...workflow, nodes: nodesOf('red') };
      const replaced = await room.workflows.replace(ANN, workflow.id, workflow.version, content, true);
      if (replaced === null) throw new Error('the workflow was changed meanwhile');
      return replaced;
    }

    async function endState(workflow: StoredWorkflow, run: Run) {
      const entries = await room.inventory.ofWorkflow(ANN, workflow.id);
      return {
        run: { state: run.state, outcomes: outcomesOf(run) },
        objects: ['a', 'b', 'c', 'd'].map((id) => ({
          generation: room.server.metadata(pathOfNode(id))?.generation,
          color: room.server.value(pathOfNode(id), '.data.color'),
        })),
        inventory: entries
          .map(({ nodeId, origin, uid }) => ({
            nodeId,
            origin,
            isCurrent: uid === room.server.metadata(pathOfNode(nodeId))?.uid,
          }))
          .toSorted((one, other) => one.nodeId.localeCompare(other.nodeId)),
      };
    }

    it.each([
      ['before', false],
      ['after', true],
    ])(
      'comes to the same end, with each object applied once, killed %s any operation',
      async (_when, takesEffect) => {
        const reference = await prepare();
        const lifeline = new Lifeline();
        const expected = await endState(reference, await execute(reference, room.process(lifeline)));
        expect(expected.run.outcomes).toEqual({ a: 'configured', b: 'configured', c: 'created', d: 'created' });
        expect(expected.objects.map(({ generation }) => generation)).toEqual([2, 2, 1, 1]);
        expect(lifeline.operations).toBeGreaterThan(30);

        for (let dieAt = 1; dieAt <= lifeline.operations; dieAt += 1) {
          const workflow = await prepare();
          const mortal = new Lifeline(dieAt, takesEffect);
          const first = room.process(mortal);
          // The start may be what it dies at: then nobody takes the run on before the second one does.
          await Promise.race([first.executor.start(), until(() => mortal.isDead)]);
          const { id } = await first.service.execute(ANN, workflow.id);
          await until(async () => mortal.isDead || (await room.runs.find(ANN, workflow.id, id))?.state !== 'running');
          const second = room.process();
          await second.executor.start();
          const run = await room.ended(workflow.id, id, second.clock);
          expect({ dieAt, ...(await endState(workflow, run)) }).toEqual({ dieAt, ...expected });
          await second.executor.stop(never);
        }
      },
      300_000,
    );
  });
});
