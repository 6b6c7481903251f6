import { Inject, Injectable, Logger } from '@nestjs/common';
import { SYSTEM_SCOPE, type Scope } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import type { Removed } from '../http/removed.js';
import { EventBus } from '../realtime/index.js';
import type { Runnable } from '../runtime/runnable.js';
import { ResourcesService } from '../watchers/index.js';
import { InventoryRepository } from './inventory/inventory.repository.js';
import { RunsRepository } from './runs/runs.repository.js';
import { refuseActiveRun, refuseObjects } from './workflow-refusals.js';
import { WorkflowsRepository } from './workflows.repository.js';

/**
 * Removes workflows with all that is stored of them.
 *
 * First the workflow is hidden, then looked at again, then emptied: a run that starts meanwhile stores itself before it
 * reads the workflow, so either we see the run or it does not find the workflow. What a crash leaves half removed is
 * hidden already, and the next start ends it.
 */
@Injectable()
export class WorkflowRemoval implements Runnable {
  readonly name = 'workflow removal';
  private readonly log = new Logger(WorkflowRemoval.name);

  constructor(
    private readonly workflows: WorkflowsRepository,
    private readonly inventory: InventoryRepository,
    private readonly runs: RunsRepository,
    @Inject(ResourcesService) private readonly resources: Pick<ResourcesService, 'forget'>,
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'publish'>,
  ) {}

  /** @throws AppError `resource.not_found`, `workflow.run_active`, `workflow.in_use` unless its objects are abandoned. */
  async remove(scope: Scope, id: string, options: { readonly abandon: boolean }): Promise<Removed> {
    const workflow = await this.workflows.find(scope, id);
    if (workflow === null) throw AppError.notFound('workflow');
    await this.refuse(scope, id, options);
    if (!(await this.workflows.beginDeletion(scope, id))) throw AppError.notFound('workflow');
    try {
      await this.refuse(scope, id, options);
    } catch (error) {
      await this.workflows.cancelDeletion(scope, id);
      throw error;
    }
    await this.end(scope, id);
    return { tenantId: workflow.tenantId, name: workflow.name };
  }

  /** Ends the removals that a crash has interrupted. */
  async start(signal: AbortSignal): Promise<void> {
    for (const id of await this.workflows.deleting(SYSTEM_SCOPE)) {
      signal.throwIfAborted();
      const run = await this.runs.active(SYSTEM_SCOPE, id);
      if (run === null) await this.end(SYSTEM_SCOPE, id);
      else await this.workflows.cancelDeletion(SYSTEM_SCOPE, id);
      this.log.log({ message: 'an interrupted removal was ended', workflowId: id, removed: run === null });
    }
  }

  stop(): Promise<void> {
    return Promise.resolve();
  }

  private async refuse(scope: Scope, id: string, { abandon }: { readonly abandon: boolean }): Promise<void> {
    refuseActiveRun(await this.runs.active(scope, id));
    if (!abandon) {
      const hint = 'archive it with deletion first, or leave them behind with ?resources=abandon';
      refuseObjects(await this.inventory.ofWorkflow(scope, id), hint);
    }
  }

  private async end(scope: Scope, id: string): Promise<void> {
    await this.inventory.releaseWorkflow(scope, id);
    await this.resources.forget(id);
    await this.runs.deleteOf(scope, id);
    await this.workflows.endDeletion(scope, id);
    this.bus.publish('workflow.removed', { workflowId: id });
  }
}
