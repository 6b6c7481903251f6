import type { Resource } from '../../src/watchers/index.js';
import type { ResourcesService } from '../../src/watchers/index.js';

type RunResources = Pick<
  ResourcesService,
  'track' | 'applied' | 'ofWorkflow' | 'waitForHealth' | 'expectDeletion' | 'waitForGone' | 'untrack'
>;

interface Waiter {
  readonly resourceId: string;
  readonly resolve: (resource: Resource) => void;
}

/** What the executor needs of the watchers; the test says what they see. */
export class FakeRunResources implements RunResources {
  /** Every wait is answered at once. */
  allHealthy = false;
  readonly untracked: string[] = [];
  readonly expected: string[] = [];
  private readonly resources = new Map<string, Resource>();
  private readonly waiters = new Set<Waiter>();

  track(node: Parameters<ResourcesService['track']>[0]): Promise<Resource> {
    const id = `${node.workflowId}/${node.nodeId}`;
    const known = this.resources.get(id);
    // Only these fields are read.
    const resource =
      known ?? ({ ...node, id, health: 'pending', reason: null, message: null, previous: null } as never);
    this.resources.set(id, resource);
    return Promise.resolve(resource);
  }

  applied(resourceId: string, { uid }: { readonly uid: string }): Promise<void> {
    this.change(resourceId, { uid });
    return Promise.resolve();
  }

  ofWorkflow(workflowId: string): Promise<Resource[]> {
    return Promise.resolve([...this.resources.values()].filter((each) => each.workflowId === workflowId));
  }

  waitForHealth(resourceId: string, _object: unknown, signal: AbortSignal): Promise<Resource> {
    const resource = this.resources.get(resourceId);
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    if (resource === undefined) return Promise.reject(new Error(`${resourceId} is not tracked`));
    if (this.allHealthy || resource.health === 'healthy') return Promise.resolve(resource);
    return new Promise((resolve, reject) => {
      const waiter = { resourceId, resolve };
      this.waiters.add(waiter);
      signal.addEventListener('abort', () => {
        this.waiters.delete(waiter);
        reject(signal.reason as Error);
      });
    });
  }

  expectDeletion(_workflowId: string, _nodeId: string, uid: string): Promise<void> {
    this.expected.push(uid);
    return Promise.resolve();
  }

  /** Nothing is told of ends: the executor's own looks find them. */
  waitForGone(_resourceId: string, _uid: string, signal: AbortSignal): Promise<Resource> {
    if (signal.aborted) return Promise.reject(signal.reason as Error);
    return new Promise((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason as Error));
    });
  }

  untrack(workflowId: string): Promise<void> {
    this.untracked.push(workflowId);
    return Promise.resolve();
  }

  /** Waits that have not been answered. */
  get waits(): number {
    return this.waiters.size;
  }

  /** The watchers see a state of a node's object. */
  see(workflowId: string, nodeId: string, change: Partial<Resource>): void {
    const id = `${workflowId}/${nodeId}`;
    const resource = this.change(id, change);
    if (resource?.health !== 'healthy') return;
    for (const waiter of this.waiters) {
      if (waiter.resourceId !== id) continue;
      this.waiters.delete(waiter);
      waiter.resolve(resource);
    }
  }

  private change(id: string, change: Partial<Resource>): Resource | undefined {
    const resource = this.resources.get(id);
    if (resource === undefined) return undefined;
    const changed = { ...resource, ...change };
    this.resources.set(id, changed);
    return changed;
  }
}
