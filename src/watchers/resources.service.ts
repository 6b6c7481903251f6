import { Inject, Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../auth/principal.js';
import { apiVersionOf, findKind } from '../kubernetes/kinds.js';
import type { StreamItem } from '../realtime/streams/stream-topic.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { type Health, type Resource } from './resource.js';
import { summarizeHealth } from './resource-health.js';
import { isOlder } from './resource-version.js';
import { streamItem } from './resource-stream-item.js';
import { StatusTracker } from './status-tracker.js';
import { ResourceChanges } from './tracking/resource-changes.js';
import { ResourceHistoryRepository } from './tracking/resource-history.repository.js';
import { toResource } from './tracking/resource-view.js';
import type { AppliedObject, ResourceDocument } from './tracking/resource.schema.js';
import { type NodeObject, type ResourceChange, ResourcesRepository } from './tracking/resources.repository.js';
import { SightingWaiters } from './tracking/sighting-waiters.js';
import { type TrackedResource, TrackedResources } from './tracking/tracked-resources.js';
import { WatcherManager } from './watcher-manager.js';

export interface WorkflowHealth {
  /** Worst health of its resources; null without resources. */
  readonly health: Health | null;
  /** When the workflow came into it, RFC 3339. */
  readonly since: string | null;
  /** Resources by health, only those above zero. */
  readonly counts: Readonly<Partial<Record<Health, number>>>;
}

const WELL: ReadonlySet<Health> = new Set(['healthy', 'completed', 'suspended']);

/** What the executor of workflows needs of the watchers. Works on ids that were checked before: for all tenants. */
@Injectable()
export class ResourcesService {
  constructor(
    private readonly resources: ResourcesRepository,
    private readonly history: ResourceHistoryRepository,
    private readonly tracked: TrackedResources,
    private readonly changes: ResourceChanges,
    private readonly waiters: SightingWaiters,
    private readonly tracker: StatusTracker,
    private readonly manager: WatcherManager,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Creates or re-points the resource of a node and has it watched. Called before each apply; idempotent. */
  async track(node: Omit<NodeObject, 'apiVersion'>): Promise<Resource> {
    const document = await this.store(node);
    const { id } = this.tracked.put(document);
    this.changes.publish(document);
    this.manager.requestReconcile();
    this.tracker.evaluate(id);
    return toResource(document);
  }

  /** Records what the API server answered to an apply; an older observation no longer counts as the state of it. */
  async applied(resourceId: string, applied: AppliedObject): Promise<void> {
    await this.change(resourceId, (document) => ({
      applied: { uid: applied.uid, resourceVersion: applied.resourceVersion, generation: applied.generation },
      uid: applied.uid,
      expectedDeletion: null,
      ...(document.uid === applied.uid ? {} : this.pending(document)),
    }));
    this.tracker.evaluate(resourceId);
  }

  /**
   * Resolves when an observation at or after `resourceVersion` is healthy, completed or suspended, and live.
   * Rejects with the signal's reason.
   */
  waitForHealth(
    resourceId: string,
    object: Pick<AppliedObject, 'uid' | 'resourceVersion'>,
    signal: AbortSignal,
  ): Promise<Resource> {
    return this.wait(
      resourceId,
      ({ document }, sighting) =>
        document.uid === object.uid &&
        sighting.uid === object.uid &&
        !isOlder(sighting.resourceVersion, object.resourceVersion) &&
        document.freshness === 'live' &&
        WELL.has(document.health),
      signal,
    );
  }

  /** Called before we delete the object with that UID: its end is then told as `deleted`, not as `missing`. */
  async expectDeletion(workflowId: string, nodeId: string, uid: string): Promise<void> {
    const document = await this.resources.findNode(SYSTEM_SCOPE, workflowId, nodeId);
    if (document) await this.change(document._id.toString(), () => ({ expectedDeletion: uid }));
  }

  /** Resolves when a watch has told that the object with that UID is gone; rejects with the signal's reason. */
  waitForGone(resourceId: string, uid: string, signal: AbortSignal): Promise<Resource> {
    return this.wait(resourceId, (_resource, sighting) => sighting.uid !== uid, signal);
  }

  /** Stops watching all resources of a workflow, which stay as records. */
  async untrack(workflowId: string): Promise<void> {
    await this.resources.unwatch(SYSTEM_SCOPE, workflowId, this.now());
    for (const document of await this.resources.ofWorkflow(SYSTEM_SCOPE, workflowId)) {
      if (document.watched) continue; // tracked again meanwhile
      this.tracked.remove(document._id.toString());
      this.changes.publish(document);
    }
    this.manager.requestReconcile();
  }

  /** Removes the records of a workflow, with their history, and stops watching them. */
  async forget(workflowId: string): Promise<void> {
    const documents = await this.resources.ofWorkflow(SYSTEM_SCOPE, workflowId);
    const ids = documents.map(({ _id }) => _id.toString());
    await this.resources.remove(SYSTEM_SCOPE, workflowId);
    for (const id of ids) {
      this.tracked.remove(id);
      this.changes.forget(id);
    }
    this.manager.requestReconcile();
    await this.history.remove(SYSTEM_SCOPE, ids);
  }

  /** Resources of a workflow, in the order in which they were first tracked. */
  async ofWorkflow(workflowId: string): Promise<Resource[]> {
    return (await this.resources.ofWorkflow(SYSTEM_SCOPE, workflowId)).map(toResource);
  }

  /** The resources of a workflow as items of its stream's snapshot. */
  async snapshotItems(workflowId: string): Promise<StreamItem[]> {
    return (await this.ofWorkflow(workflowId)).map((resource) => streamItem('node_update', resource));
  }

  async healthOf(workflowIds: readonly string[]): Promise<Map<string, WorkflowHealth>> {
    if (workflowIds.length === 0) return new Map();
    const groups = await this.resources.healthGroups(SYSTEM_SCOPE, workflowIds);
    return new Map(
      [...groups].map(([id, each]) => {
        const { health, since, counts } = summarizeHealth(each);
        return [id, { health, since: since?.toISOString() ?? null, counts }];
      }),
    );
  }

  private wait(
    resourceId: string,
    condition: (...args: Parameters<Parameters<SightingWaiters['wait']>[1]>) => boolean,
    signal: AbortSignal,
  ): Promise<Resource> {
    const answer = this.waiters.wait(
      resourceId,
      (resource: TrackedResource, sighting) =>
        condition(resource, sighting) ? toResource(resource.document) : undefined,
      signal,
    );
    const known = this.tracked.get(resourceId);
    if (known) this.waiters.recheck(known);
    this.tracker.evaluate(resourceId);
    return answer;
  }

  private async store(node: Omit<NodeObject, 'apiVersion'>): Promise<ResourceDocument> {
    const kind = findKind(node.kind);
    if (!kind) throw new Error(`${node.kind} is not a watched kind`);
    const apiVersion = apiVersionOf(kind);
    for (;;) {
      const known = await this.resources.findNode(SYSTEM_SCOPE, node.workflowId, node.nodeId);
      if (!known) {
        const created = await this.resources.createTracked({ ...node, apiVersion }, this.now());
        if (created) return created;
        continue;
      }
      const samePlace =
        known.clusterId.toString() === node.clusterId &&
        known.kind === node.kind &&
        known.namespace === node.namespace &&
        known.name === node.name;
      if (samePlace && known.watched && known.health !== 'deleted') return known;
      const fresh = !samePlace || known.health === 'deleted';
      const change = await this.resources.update(SYSTEM_SCOPE, known._id.toString(), known.version, {
        ...this.resources.place({ ...node, apiVersion }),
        watched: true,
        freshness: 'syncing',
        freshnessSince: this.now(),
        updatedAt: this.now(),
        ...(fresh ? { ...this.pending(known), uid: null, applied: null, observed: null, expectedDeletion: null } : {}),
      });
      if (change) return change;
    }
  }

  private pending(document: ResourceDocument): ResourceChange {
    const changed = document.health !== 'pending';
    return {
      health: 'pending',
      rollout: null,
      reason: null,
      message: null,
      details: {},
      children: [],
      ...(changed ? { since: this.now(), previous: document.health } : {}),
    };
  }

  private async change(resourceId: string, change: (document: ResourceDocument) => ResourceChange): Promise<void> {
    for (;;) {
      const known = await this.resources.find(SYSTEM_SCOPE, resourceId);
      if (!known) return; // forgotten meanwhile: there is nothing to record any more
      const changed = await this.resources.update(SYSTEM_SCOPE, resourceId, known.version, {
        ...change(known),
        updatedAt: this.now(),
      });
      if (!changed) continue;
      this.changes.publish(changed);
      return;
    }
  }

  private now(): Date {
    return new Date(this.clock.now());
  }
}
