import { Inject, Injectable, Logger } from '@nestjs/common';
import { type Principal, type Scope, SYSTEM_SCOPE } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { type Page, toPage } from '../http/page.js';
import { Readiness } from '../lifecycle/index.js';
import { EventBus } from '../realtime/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { archiveSteps } from './archive-steps.js';
import { RunExecutor } from './execution/run-executor.js';
import { objectOf } from './inventory/inventory-entry.js';
import { InventoryRepository } from './inventory/inventory.repository.js';
import type { ListRunsQuery } from './run.dto.js';
import { type ArchiveMode, pendingStep, type RunStep } from './runs/active-run.js';
import { toRun } from './runs/run.schema.js';
import { RunsRepository } from './runs/runs.repository.js';
import type { Run, StoredWorkflow } from './workflow.js';
import { refuseActiveRun, refuseInactive, refuseTaken } from './workflow-refusals.js';
import { WorkflowsRepository } from './workflows.repository.js';

/** Runs that end between the refusal of a new one and the look at them, before we stop believing in chance. */
const MAX_ATTEMPTS = 5;

interface RunPlan {
  readonly kind: Run['kind'];
  readonly nodes: readonly RunStep[];
  readonly archiveMode: ArchiveMode | null;
}

/** Rules of beginning, showing and cancelling runs. What they do to the cluster is the executor's. */
@Injectable()
export class RunsService {
  private readonly log = new Logger(RunsService.name);

  constructor(
    private readonly workflows: WorkflowsRepository,
    private readonly runs: RunsRepository,
    private readonly inventory: InventoryRepository,
    @Inject(RunExecutor) private readonly executor: Pick<RunExecutor, 'submit' | 'cancel'>,
    @Inject(Readiness) private readonly readiness: Pick<Readiness, 'state'>,
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'publish'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Begins to apply the workflow.
   * @throws AppError `resource.not_found`, `workflow.not_active`, `workflow.run_active`, `workflow.object_taken`,
   * `service.draining`.
   */
  async execute(principal: Principal, workflowId: string): Promise<Run> {
    const workflow = await this.findActive(principal, workflowId);
    await this.refuseTakenObjects(workflow);
    const nodes = workflow.nodes.map(({ id }) => pendingStep(id));
    return this.begin(principal, workflow, { kind: 'execute', nodes, archiveMode: null });
  }

  /**
   * Begins to take the workflow's objects away, or to leave them.
   * @throws AppError `resource.not_found`, `workflow.not_active`, `workflow.run_active`, `service.draining`.
   */
  async archive(principal: Principal, workflowId: string, archiveMode: ArchiveMode): Promise<Run> {
    const workflow = await this.findActive(principal, workflowId);
    const nodes = archiveSteps(workflow, await this.inventory.ofWorkflow(principal, workflowId));
    const run = await this.begin(principal, workflow, { kind: 'archive', nodes, archiveMode });
    return run;
  }

  /** @throws AppError `resource.not_found`. */
  async list(scope: Scope, workflowId: string, query: ListRunsQuery): Promise<Page<Run>> {
    if (!(await this.workflows.exists(scope, workflowId))) throw AppError.notFound('workflow');
    const page = { cursor: query.cursor, limit: query.limit + 1 };
    return toPage(await this.runs.list(scope, workflowId, page), query.limit, toRun);
  }

  /** @throws AppError `resource.not_found`. */
  async get(scope: Scope, workflowId: string, runId: string): Promise<Run> {
    const run = await this.runs.find(scope, workflowId, runId);
    if (run === null) throw AppError.notFound('run');
    return run;
  }

  /** Nothing more begins; what has begun comes to its end. @throws AppError `resource.not_found`, `run.not_active`. */
  async cancel(scope: Scope, workflowId: string, runId: string): Promise<Run> {
    const run = await this.runs.requestCancel(scope, workflowId, runId);
    if (run === null) {
      const { state } = await this.get(scope, workflowId, runId);
      throw new AppError('run.not_active', `the run has ended as ${state}; there is nothing to cancel`, {
        details: { state },
      });
    }
    this.log.log({ message: 'a run is being cancelled', runId });
    this.bus.publish('run.changed', { run }, { coalesceKey: run.id });
    this.executor.cancel(runId);
    return run;
  }

  private async begin(principal: Principal, workflow: StoredWorkflow, plan: RunPlan): Promise<Run> {
    const run = await this.store(principal, workflow, plan);
    // Read again after the run is stored: a removal that has begun meanwhile either sees the run, or is seen here.
    const now = await this.workflows.find(SYSTEM_SCOPE, workflow.id);
    if (now?.state !== 'active') {
      await this.runs.discard(run.id);
      if (now === null) throw AppError.notFound('workflow');
      refuseInactive(now);
    }
    this.log.log({ message: 'a run begins', workflow: workflow.name, runId: run.id, kind: run.kind });
    this.bus.publish('run.changed', { run }, { coalesceKey: run.id });
    this.executor.submit(run.id);
    return run;
  }

  private async store(principal: Principal, workflow: StoredWorkflow, plan: RunPlan): Promise<Run> {
    const { id, tenantId, revision, name, clusterId, namespace, onFailure, nodes, edges } = workflow;
    const run = {
      ...plan,
      tenantId,
      workflowId: id,
      revision,
      definition: { workflowName: name, clusterId, namespace, onFailure, nodes, edges },
      startedAt: new Date(this.clock.now()),
      createdBy: principal.id,
    };
    for (let attempt = 1; ; attempt += 1) {
      const created = await this.runs.create(run);
      if (created !== null) return created;
      refuseActiveRun(await this.runs.active(SYSTEM_SCOPE, id));
      if (attempt === MAX_ATTEMPTS) throw new Error(`the run of workflow ${id} kept being raced`);
    }
  }

  private async findActive(scope: Scope, workflowId: string): Promise<StoredWorkflow> {
    if (this.readiness.state === 'draining') {
      throw new AppError('service.draining', 'the service is shutting down; try again when it is back', {
        headers: { 'Retry-After': '10' },
      });
    }
    const workflow = await this.workflows.find(scope, workflowId);
    if (workflow === null) throw AppError.notFound('workflow');
    // An archive run is the better answer than the state that it has brought about.
    if (workflow.state !== 'archived') refuseActiveRun(await this.runs.active(scope, workflowId));
    refuseInactive(workflow);
    return workflow;
  }

  private async refuseTakenObjects(workflow: StoredWorkflow): Promise<void> {
    const objects = workflow.nodes.map(({ manifest }) => objectOf(manifest, workflow.namespace));
    const [holder] = await this.inventory.heldByOthers(SYSTEM_SCOPE, workflow, objects);
    if (holder === undefined) return;
    const names = await this.workflows.names(SYSTEM_SCOPE, [holder.workflowId]);
    refuseTaken(holder, names.get(holder.workflowId) ?? holder.workflowId);
  }
}
