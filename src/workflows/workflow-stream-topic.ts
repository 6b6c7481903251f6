import { Inject, Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { objectId } from '../http/object-id.js';
import { EventBus, SseBroadcaster, type StreamItem, type StreamTopic } from '../realtime/index.js';
import { ResourcesService } from '../watchers/index.js';
import { RunsRepository } from './runs/runs.repository.js';
import type { Run } from './workflow.js';
import { WorkflowsRepository } from './workflows.repository.js';

/** What stands behind `workflow:<id>`: its resources and its last run. The watchers publish the resources' changes. */
@Injectable()
export class WorkflowStreamTopic implements StreamTopic {
  readonly prefix = 'workflow';

  constructor(
    private readonly workflows: WorkflowsRepository,
    private readonly runs: RunsRepository,
    @Inject(ResourcesService) private readonly resources: Pick<ResourcesService, 'snapshotItems'>,
    @Inject(SseBroadcaster) broadcaster: Pick<SseBroadcaster, 'registerTopic' | 'publish' | 'retire'>,
    @Inject(EventBus) bus: Pick<EventBus, 'subscribe'>,
  ) {
    broadcaster.registerTopic(this);
    bus.subscribe('workflow streams', ['run.changed'], ({ payload: { run } }) => {
      broadcaster.publish(`${this.prefix}:${run.workflowId}`, run.tenantId, runItem(run));
    });
    bus.subscribe('removed workflows', ['workflow.removed'], ({ payload: { workflowId } }) => {
      broadcaster.retire(`${this.prefix}:${workflowId}`);
    });
  }

  async authorize(principal: Principal, id: string): Promise<void> {
    // An id in a stream key comes from the client as it is.
    const wellFormed = objectId.safeParse(id).success;
    if (!wellFormed || !(await this.workflows.exists(principal, id))) throw AppError.notFound('workflow');
  }

  async snapshot(principal: Principal, id: string): Promise<readonly StreamItem[]> {
    const [resources, run] = await Promise.all([this.resources.snapshotItems(id), this.runs.last(principal, id)]);
    return run === null ? resources : [...resources, runItem(run)];
  }
}

/** A run as streams carry it. */
export function runItem(run: Run): StreamItem {
  return { eventType: 'run_update', entity: `run:${run.id}`, version: run.version, data: run };
}
