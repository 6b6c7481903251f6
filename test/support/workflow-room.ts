import mongoose from 'mongoose';
import { isInScope, type Scope } from '../../src/auth/principal.js';
import type { Cluster, ClusterUsage } from '../../src/cluster-health/index.js';
import { AppError } from '../../src/errors/app-error.js';
import type { EventBus, StreamItem } from '../../src/realtime/index.js';
import type { WorkflowHealth } from '../../src/watchers/index.js';
import { inventoryEntrySchema } from '../../src/workflows/inventory/inventory-entry.schema.js';
import { InventoryRepository } from '../../src/workflows/inventory/inventory.repository.js';
import { type RunDocument, runSchema } from '../../src/workflows/runs/run.schema.js';
import { RunsRepository } from '../../src/workflows/runs/runs.repository.js';
import { WorkflowList } from '../../src/workflows/workflow-list.js';
import { WorkflowRemoval } from '../../src/workflows/workflow-removal.js';
import { WorkflowSecrets } from '../../src/workflows/workflow-secrets.js';
import { WorkflowStatuses } from '../../src/workflows/workflow-statuses.js';
import { workflowSchema } from '../../src/workflows/workflow.schema.js';
import { WorkflowsRepository } from '../../src/workflows/workflows.repository.js';
import { WorkflowsService } from '../../src/workflows/workflows.service.js';
import { FakeClock } from './fake-clock.js';
import { openTestDatabase } from './test-database.js';

export const newId = (): string => new mongoose.Types.ObjectId().toHexString();

/** Seals by writing the context beside the text, differently each time, as a random nonce does. */
export class FakeSealer {
  private count = 0;

  seal(plaintext: string, context: readonly string[]): string {
    this.count += 1;
    return `sealed.${this.count}.${Buffer.from(JSON.stringify([context, plaintext])).toString('base64url')}`;
  }

  open(sealed: string, context: readonly string[]): string {
    const content: unknown = JSON.parse(Buffer.from(sealed.split('.')[2] ?? '', 'base64url').toString());
    const [boundTo, plaintext] = content as [unknown, string];
    if (JSON.stringify(boundTo) !== JSON.stringify(context)) throw new Error('sealed for another context');
    return plaintext;
  }
}

export class FakeClusters {
  usage: ClusterUsage | undefined;
  private readonly clusters = new Map<string, Cluster>();

  add(change: Partial<Pick<Cluster, 'tenantId' | 'name' | 'namespaces'>> = {}): string {
    const id = newId();
    const cluster = { id, tenantId: 'default', name: `cluster-${this.clusters.size + 1}`, namespaces: null, ...change };
    // The room reads these fields only.
    this.clusters.set(id, cluster as Cluster);
    return id;
  }

  remove(id: string): void {
    this.clusters.delete(id);
  }

  get(scope: Scope, id: string): Promise<Cluster> {
    const cluster = this.clusters.get(id);
    if (cluster === undefined || !isInScope(scope, cluster.tenantId))
      return Promise.reject(AppError.notFound('cluster'));
    return Promise.resolve(cluster);
  }

  registerUsage(usage: ClusterUsage): void {
    this.usage = usage;
  }
}

export class FakeResources {
  readonly healths = new Map<string, WorkflowHealth>();
  readonly items = new Map<string, StreamItem[]>();
  readonly forgotten: string[] = [];

  healthOf(workflowIds: readonly string[]): Promise<Map<string, WorkflowHealth>> {
    return Promise.resolve(new Map([...this.healths].filter(([id]) => workflowIds.includes(id))));
  }

  snapshotItems(workflowId: string): Promise<StreamItem[]> {
    return Promise.resolve(this.items.get(workflowId) ?? []);
  }

  forget(workflowId: string): Promise<void> {
    this.forgotten.push(workflowId);
    return Promise.resolve();
  }
}

/** The workflows room on a real store, with the rooms below it as fakes. */
export async function openWorkflowRoom() {
  const database = await openTestDatabase();
  const { connection } = database;
  const clock = new FakeClock();
  const clusters = new FakeClusters();
  const resources = new FakeResources();
  const runModel = connection.model<RunDocument>('Run', runSchema as never);
  const workflows = new WorkflowsRepository(connection.model('Workflow', workflowSchema) as never, clock);
  const inventory = new InventoryRepository(connection.model('InventoryEntry', inventoryEntrySchema) as never, clock);
  const runs = new RunsRepository(runModel as never);
  const secrets = new WorkflowSecrets(new FakeSealer());
  const statuses = new WorkflowStatuses(resources, runs);
  const lists = new WorkflowList(workflows, statuses);
  const removed: string[] = [];
  const bus: Pick<EventBus, 'publish'> = {
    publish: (_type, payload) => ('workflowId' in payload ? removed.push(String(payload.workflowId)) : 0),
  };
  const removal = new WorkflowRemoval(workflows, inventory, runs, resources, bus);
  const service = new WorkflowsService(workflows, clusters, inventory, secrets, statuses, lists, removal);

  async function addRun(workflowId: string, change: Partial<RunDocument> = {}): Promise<string> {
    const _id = new mongoose.Types.ObjectId();
    await runModel.create({
      _id,
      tenantId: 'default',
      workflowId: new mongoose.Types.ObjectId(workflowId),
      kind: 'execute',
      state: 'succeeded',
      active: false,
      revision: 1,
      nodes: [],
      message: null,
      version: 1,
      startedAt: new Date(clock.now()),
      endedAt: null,
      createdBy: 'ann',
      ...change,
    });
    return _id.toHexString();
  }

  return {
    ...database,
    clock,
    clusters,
    resources,
    workflows,
    inventory,
    runs,
    secrets,
    service,
    removal,
    removed,
    addRun,
  };
}

export type WorkflowRoom = Awaited<ReturnType<typeof openWorkflowRoom>>;
