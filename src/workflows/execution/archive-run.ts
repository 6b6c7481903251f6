import { Inject, Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { ResourcesService } from '../../watchers/index.js';
import { MAX_TIMEOUT_MS } from '../workflow.dto.js';
import { WorkflowsRepository } from '../workflows.repository.js';
import { DeleteNode } from './delete-node.js';
import { report } from './node-report.js';
import { type NodeTask, RunDriver, type RunSignals } from './run-driver.js';
import type { Dependency } from './run-plan.js';
import type { RunProgress } from './run-progress.js';

const PARALLEL_NODES = 4;

/** Takes a workflow's objects away, or leaves them, and ends the watching. */
@Injectable()
export class ArchiveRun {
  constructor(
    private readonly nodes: DeleteNode,
    private readonly workflows: WorkflowsRepository,
    @Inject(ResourcesService) private readonly resources: Pick<ResourcesService, 'untrack'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Whether every node has come to its end; false when the service stops before. */
  async drive(progress: RunProgress, signals: RunSignals): Promise<boolean> {
    const { run } = progress;
    await this.workflows.transition(SYSTEM_SCOPE, run.workflowId, ['active'], 'archiving');
    const work = {
      dependencies: reverseDependencies(progress),
      stopOnFailure: false,
      parallel: PARALLEL_NODES,
      work: (task: NodeTask) => this.work(progress, task),
    };
    if (!(await new RunDriver(progress, work, signals).drive())) return false;
    await this.settle(progress);
    return true;
  }

  /**
   * What could not be asked for leaves the workflow active, to be archived again. What was asked for and remains does
   * not: it is named in the run and stays in the inventory.
   */
  async settle({ run, nodes }: RunProgress): Promise<void> {
    const isArchived = nodes.every(({ outcome }) => outcome !== 'failed' && outcome !== 'skipped');
    if (isArchived) await this.resources.untrack(run.workflowId);
    const state = isArchived ? 'archived' : 'active';
    await this.workflows.transition(SYSTEM_SCOPE, run.workflowId, ['archiving'], state);
  }

  private async work(progress: RunProgress, { index, signals, releaseSlot }: NodeTask): Promise<void> {
    const { run } = progress;
    const { nodeId, target, outcome } = progress.step(index);
    if (target === null) throw new Error(`archive run ${run.id} has no object for node ${nodeId}`);
    if (run.archiveMode === 'keep') {
      const message = 'left in the cluster, as asked for; it is no longer watched';
      await progress.move(new Map([[index, report('kept', 'Kept', message)]]));
      return;
    }
    if (outcome === 'pending') {
      const timeoutMs = run.definition.nodes.find(({ id }) => id === nodeId)?.timeoutMs ?? MAX_TIMEOUT_MS;
      const waitUntil = new Date(this.clock.now() + timeoutMs).toISOString();
      await progress.move(new Map([[index, { outcome: 'deleting', waitUntil }]]));
    }
    const waitUntil = new Date(progress.step(index).waitUntil ?? this.clock.now());
    const end = await this.nodes.delete(run, { nodeId, target }, { waitUntil, releaseSlot }, signals);
    await progress.move(new Map([[index, end]]));
  }
}

/** What was applied after a node goes before it. Objects of nodes that the definition has no more go at any time. */
function reverseDependencies({ run, nodes }: RunProgress): Dependency[][] {
  return nodes.map(({ nodeId }) => {
    const targets = new Set(run.definition.edges.filter(({ source }) => source === nodeId).map(({ target }) => target));
    return nodes.flatMap((each, index): Dependency[] => (targets.has(each.nodeId) ? [{ index, needs: 'done' }] : []));
  });
}
