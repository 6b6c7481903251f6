import { Inject, Injectable } from '@nestjs/common';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { ResourcesService } from '../../watchers/index.js';
import type { AppliedNode } from '../runs/active-run.js';
import type { WorkflowNode } from '../workflow.js';
import { ApplyNode } from './apply-node.js';
import { HealthWait, type WaitEnd } from './health-wait.js';
import { type NodeReport, report } from './node-report.js';
import { RunDriver, type NodeTask, type RunSignals } from './run-driver.js';
import { dependenciesOf } from './run-plan.js';
import type { RunProgress } from './run-progress.js';

const PARALLEL_NODES = 4;

/** Applies the nodes of a workflow in the order of its edges. */
@Injectable()
export class ExecuteRun {
  constructor(
    private readonly nodes: ApplyNode,
    private readonly health: HealthWait,
    @Inject(ResourcesService) private readonly resources: Pick<ResourcesService, 'ofWorkflow'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Whether every node has come to its end; false when the service stops before. */
  drive(progress: RunProgress, signals: RunSignals): Promise<boolean> {
    const { definition } = progress.run;
    const work = {
      dependencies: dependenciesOf(definition),
      stopOnFailure: definition.onFailure === 'stop',
      parallel: PARALLEL_NODES,
      work: (task: NodeTask) => this.work(progress, task),
    };
    return new RunDriver(progress, work, signals).drive();
  }

  private async work(progress: RunProgress, task: NodeTask): Promise<void> {
    const { run } = progress;
    const { index, signals } = task;
    const node = run.definition.nodes[index];
    if (node === undefined) throw new Error(`run ${run.id} has no node ${index}`);
    const { outcome } = progress.step(index);
    const isResumed = outcome === 'waiting';
    if (!isResumed) {
      if (outcome === 'pending') await this.to(progress, index, report('applying'));
      const { report: end, applied } = await this.nodes.apply(run, node, signals);
      if (applied === null || !isAwaited(node.id, run.definition.edges)) {
        await this.to(progress, index, end);
        return;
      }
      const waitUntil = new Date(this.clock.now() + node.timeoutMs).toISOString();
      await progress.move(new Map([[index, { ...end, outcome: 'waiting', applied, waitUntil }]]));
    }
    task.releaseSlot();
    const { applied, waitUntil } = progress.step(index);
    if (applied === null || waitUntil === null) throw new Error(`node ${node.id} waits without having been applied`);
    const end = await this.health.wait(applied, new Date(waitUntil), isResumed, signals);
    await this.to(progress, index, await this.endOfWait(progress, node, applied, end));
  }

  private async endOfWait(
    progress: RunProgress,
    node: WorkflowNode,
    applied: AppliedNode,
    end: WaitEnd,
  ): Promise<Partial<NodeReport> & Pick<NodeReport, 'outcome'>> {
    switch (end) {
      case 'healthy':
        return { outcome: applied.outcome };
      case 'timed-out':
        return this.timedOut(progress.run.workflowId, node);
      case 'cancelled':
        return { outcome: applied.outcome, message: 'applied; its health was not waited for, the run was cancelled' };
      case 'unneeded':
        return { outcome: applied.outcome, message: 'applied; its health was not waited for, nothing comes after it' };
    }
  }

  private async timedOut(workflowId: string, node: WorkflowNode): Promise<NodeReport> {
    const resource = (await this.resources.ofWorkflow(workflowId)).find(({ nodeId }) => nodeId === node.id);
    const health = resource?.health ?? 'unknown';
    const why = resource?.message ?? resource?.reason;
    const message = `applied, but still ${health} after ${node.timeoutMs} ms${why ? `: ${why}` : ''}`;
    return report('timed-out', resource?.reason ?? 'HealthTimeout', message);
  }

  private to(
    progress: RunProgress,
    index: number,
    end: Partial<NodeReport> & Pick<NodeReport, 'outcome'>,
  ): Promise<void> {
    return progress.move(new Map([[index, end]]));
  }
}

function isAwaited(nodeId: string, edges: RunProgress['run']['definition']['edges']): boolean {
  return edges.some(({ source, waitFor }) => source === nodeId && waitFor === 'healthy');
}
