import { Registry } from 'prom-client';
import type { Principal } from '../../src/auth/principal.js';
import type { EventMap } from '../../src/realtime/bus/event-map.js';
import { ApplyNode } from '../../src/workflows/execution/apply-node.js';
import { ArchiveRun } from '../../src/workflows/execution/archive-run.js';
import { AttemptsFactory } from '../../src/workflows/execution/attempts.js';
import { DeleteNode } from '../../src/workflows/execution/delete-node.js';
import { ExecuteRun } from '../../src/workflows/execution/execute-run.js';
import { GoneWait } from '../../src/workflows/execution/gone-wait.js';
import { HealthWait } from '../../src/workflows/execution/health-wait.js';
import { RunExecutor } from '../../src/workflows/execution/run-executor.js';
import { RunsMetrics } from '../../src/workflows/runs.metrics.js';
import { RunsService } from '../../src/workflows/runs.service.js';
import type { Manifest, Run, StoredWorkflow, WorkflowDefinition } from '../../src/workflows/workflow.js';
import { FakeClock, settle } from './fake-clock.js';
import { FakeObjectServer } from './fake-object-server.js';
import { FakeRunResources } from './fake-run-resources.js';
import { newId, openWorkflowRoom } from './workflow-room.js';

export const ANN: Principal = { kind: 'user', id: 'ann', role: 'operator', tenantId: 'default' };
export const INSTALLATION = 'abcdef012345';
export const NAMESPACE = 'shop';

const ENDED_WITHIN_MS = 4_500;
const STEP_MS = 250;

export function configMapNode(id: string, name: string = id, color = 'blue', timeoutMs = 60_000) {
  const manifest: Manifest = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: { color } };
  return { id, manifest, timeoutMs };
}

export function pathOfNode(name: string): string {
  return `/api/v1/namespaces/${NAMESPACE}/configmaps/${name}`;
}

/** Lets a process die: from some operation on, nothing that it asks for is answered any more. */
export class Lifeline {
  operations = 0;
  private dead = false;

  constructor(
    /** The operation at which it dies, from 1. */
    private readonly dieAt = Number.POSITIVE_INFINITY,
    /** Whether that operation still takes effect. */
    private readonly takesEffect = false,
  ) {}

  get isDead(): boolean {
    return this.dead;
  }

  /** The same object, every method of which is one operation. */
  guard<T extends object>(target: T): T {
    return new Proxy(target, {
      get: (object, name) => {
        const member: unknown = Reflect.get(object, name, object);
        if (typeof member !== 'function') return member;
        return (...args: unknown[]): unknown => this.pass(() => Reflect.apply(member, object, args) as unknown);
      },
    });
  }

  private async pass(work: () => unknown): Promise<unknown> {
    const never = new Promise<never>(() => undefined);
    if (this.dead) return never;
    this.operations += 1;
    if (this.operations < this.dieAt) {
      const answer = await work();
      return this.isDead ? never : answer;
    }
    this.dead = true;
    if (this.takesEffect) await work();
    return never;
  }
}

/** Runs of workflows on a real store, with the API server and the watchers as fakes. */
export async function openExecutionRoom() {
  const room = await openWorkflowRoom();
  const { workflows, inventory, runs, secrets } = room;
  const server = new FakeObjectServer();
  const resources = new FakeRunResources();
  const published: Run[] = [];
  const bus = {
    publish: (_type: string, payload: EventMap['run.changed']): number => {
      published.push(payload.run);
      return 1;
    },
  };
  const readiness: { state: 'ready' | 'draining' } = { state: 'ready' };
  const database = { installation: { installationId: INSTALLATION } };
  let names = 0;

  /** One process: its executor and the service on top of it. Several may follow each other on the same data. */
  function process(lifeline = new Lifeline(), clock = new FakeClock()) {
    const own = {
      runs: lifeline.guard(runs),
      inventory: lifeline.guard(inventory),
      workflows: lifeline.guard(workflows),
      resources: lifeline.guard(resources),
      apis: { forCluster: () => Promise.resolve(lifeline.guard(server)) },
    };
    const random = { float: () => 0, bytes: () => Buffer.alloc(0), uuid: () => '' };
    const attempts = new AttemptsFactory(clock, random);
    const apply = new ApplyNode(own.apis, own.resources, database, own.inventory, own.workflows, secrets, attempts);
    const gone = new GoneWait(own.resources, clock);
    const remove = new DeleteNode(own.apis, own.resources, database, own.inventory, attempts, gone);
    const execute = new ExecuteRun(apply, new HealthWait(own.resources, clock), own.resources, clock);
    const archive = new ArchiveRun(remove, own.workflows, own.resources, clock);
    const metrics = new RunsMetrics(new Registry());
    const executor = new RunExecutor(own.runs, execute, archive, bus as never, metrics, clock, random);
    const service = new RunsService(workflows, runs, inventory, executor, readiness, bus as never, clock);
    return { executor, service, clock };
  }

  async function createWorkflow(change: Partial<WorkflowDefinition> = {}): Promise<StoredWorkflow> {
    names += 1;
    const definition = {
      clusterId: newId(),
      namespace: NAMESPACE,
      onFailure: 'stop' as const,
      nodes: [configMapNode('a')],
      edges: [],
      ...change,
    };
    const owner = { id: newId(), tenantId: 'default' };
    const { nodes } = secrets.seal(owner, definition.nodes);
    return workflows.create({ ...owner, name: `w-${names}`, labels: {}, createdBy: 'ann', ...definition, nodes });
  }

  /** Resolves when the run has ended; the given clock goes on by `STEP_MS` at each look. */
  async function ended(workflowId: string, runId: string, clock?: FakeClock): Promise<Run> {
    for (const deadline = performance.now() + ENDED_WITHIN_MS; performance.now() < deadline;) {
      const run = await runs.find(ANN, workflowId, runId);
      if (run !== null && run.state !== 'running') return run;
      await (clock === undefined ? settle(1) : clock.advance(STEP_MS));
    }
    throw new Error(`the run has not ended: ${JSON.stringify(await runs.find(ANN, workflowId, runId))}`);
  }

  return { ...room, server, resources, published, readiness, process, createWorkflow, ended };
}

export type ExecutionRoom = Awaited<ReturnType<typeof openExecutionRoom>>;

export function outcomesOf(run: Run): Record<string, string> {
  return Object.fromEntries(run.nodes.map(({ nodeId, outcome }) => [nodeId, outcome]));
}
