import { Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { type BusEvent, EventBus, SseBroadcaster, type StreamItem, type StreamTopic } from '../realtime/index.js';
import type { Resource } from './resource.js';
import { streamItem } from './resource-stream-item.js';
import { toResource } from './tracking/resource-view.js';
import { ResourcesRepository } from './tracking/resources.repository.js';

/** A cluster's outage changes all its resources in one turn; none of these changes may be dropped. */
const MAX_WAITING = 100_000;

/**
 * Each stored change of a resource to `workflow:<id>` and `resource:<id>`, and the topic behind the latter. What stands
 * behind a workflow's key is registered by the room that knows workflows.
 */
@Injectable()
export class ResourceStreamTopics implements StreamTopic {
  readonly prefix = 'resource';

  constructor(
    private readonly resources: ResourcesRepository,
    private readonly bus: EventBus,
    private readonly broadcaster: SseBroadcaster,
  ) {}

  /** Before the service starts. */
  register(): void {
    this.broadcaster.registerTopic(this);
    const forward = (event: BusEvent<'resource.changed' | 'resource.removed'>): void => {
      if (event.type === 'resource.removed') {
        this.broadcaster.retire(`resource:${event.payload.resourceId}`);
        return;
      }
      const { resource } = event.payload;
      const { id, workflowId, tenantId } = resource;
      this.broadcaster.publish(`workflow:${workflowId}`, tenantId, streamItem('node_update', resource));
      this.broadcaster.publish(`resource:${id}`, tenantId, streamItem('status_update', resource));
    };
    this.bus.subscribe('resource streams', ['resource.changed', 'resource.removed'], forward, {
      bufferSize: MAX_WAITING,
    });
  }

  async authorize(principal: Principal, id: string): Promise<void> {
    if (!(await this.find(principal, id))) throw AppError.notFound('resource');
  }

  async snapshot(principal: Principal, id: string): Promise<readonly StreamItem[]> {
    const resource = await this.find(principal, id);
    return resource ? [streamItem('status_update', resource)] : [];
  }

  private async find(principal: Principal, id: string): Promise<Resource | null> {
    const document = /^[0-9a-f]{24}$/.test(id) ? await this.resources.find(principal, id) : null;
    return document && toResource(document);
  }
}
