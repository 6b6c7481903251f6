import { Injectable } from '@nestjs/common';
import { EventBus } from '../../realtime/index.js';
import type { ResourceDocument } from './resource.schema.js';
import { toResource } from './resource-view.js';
import { SightingWaiters } from './sighting-waiters.js';
import { TrackedResources } from './tracked-resources.js';

/** Tells the bus what the database has. Each version once and in order, whoever wrote it. */
@Injectable()
export class ResourceChanges {
  private readonly told = new Map<string, number>();

  constructor(
    private readonly bus: EventBus,
    private readonly tracked: TrackedResources,
    private readonly waiters: SightingWaiters,
  ) {}

  publish(document: ResourceDocument): void {
    const resource = toResource(document);
    this.tracked.refresh(document);
    const tracked = this.tracked.get(resource.id);
    if (tracked) this.waiters.recheck(tracked);
    if (resource.version <= (this.told.get(resource.id) ?? 0)) return;
    if (document.watched) this.told.set(resource.id, resource.version);
    else this.told.delete(resource.id);
    this.bus.publish('resource.changed', { resource }, { coalesceKey: resource.id });
  }

  /** After the resource was removed. */
  forget(id: string): void {
    this.told.delete(id);
    this.bus.publish('resource.removed', { resourceId: id });
  }
}
