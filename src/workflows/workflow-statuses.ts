import { Inject, Injectable } from '@nestjs/common';
import type { Scope } from '../auth/principal.js';
import { ResourcesService } from '../watchers/index.js';
import { RunsRepository } from './runs/runs.repository.js';
import type { WorkflowStatus } from './workflow.js';

const NEVER_EXECUTED: WorkflowStatus = { health: null, since: null, counts: {}, lastRun: null };

/** Sums up how workflows are from their resources and runs. */
@Injectable()
export class WorkflowStatuses {
  constructor(
    @Inject(ResourcesService) private readonly resources: Pick<ResourcesService, 'healthOf'>,
    private readonly runs: RunsRepository,
  ) {}

  async of(scope: Scope, workflowId: string): Promise<WorkflowStatus> {
    const statuses = await this.ofMany(scope, [workflowId]);
    return statuses.get(workflowId) ?? NEVER_EXECUTED;
  }

  /** One for each of the ids, which are within the scope. */
  async ofMany(scope: Scope, workflowIds: readonly string[]): Promise<Map<string, WorkflowStatus>> {
    const [healths, lastRuns] = await Promise.all([
      this.resources.healthOf(workflowIds),
      this.runs.lastSummaries(scope, workflowIds),
    ]);
    return new Map(
      workflowIds.map((id) => [id, { ...NEVER_EXECUTED, ...healths.get(id), lastRun: lastRuns.get(id) ?? null }]),
    );
  }
}
