import { createHash } from 'node:crypto';
import { Inject, Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { DatabaseConnection } from '../../database/index.js';
import {
  applyObject,
  type ApplyResult,
  findKind,
  getMetadata,
  type KubernetesApi,
  KubernetesApis,
  type ObjectMeta,
} from '../../kubernetes/index.js';
import { ResourcesService } from '../../watchers/index.js';
import { canonicalJson } from '../definition/canonical-json.js';
import { type InventoryEntry, objectOf, type ObjectOrigin } from '../inventory/inventory-entry.js';
import { InventoryRepository } from '../inventory/inventory.repository.js';
import type { ActiveRun } from '../runs/active-run.js';
import type { Manifest, WorkflowNode } from '../workflow.js';
import { WorkflowSecrets } from '../workflow-secrets.js';
import { WorkflowsRepository } from '../workflows.repository.js';
import { again, type ApplyEnd, type ApplyJob, ended, originOf, truthfulOutcome, type Try } from './apply-job.js';
import { refusalReport } from './apply-refusal-report.js';
import { AttemptsFactory } from './attempts.js';
import { completedJob } from './completed-job.js';
import { describeObject, type Failure, failureOf, type NodeReport, report } from './node-report.js';
import { desiredManifest, foreignManagers, isOwnedBy, scalersOf, setsReplicas } from './object-owner.js';
import type { RunSignals } from './run-driver.js';

/**
 * Brings the object of one node to the cluster: claims it, looks whose it is, and applies. May be repeated at any point:
 * an apply of the same manifest changes nothing.
 */
@Injectable()
export class ApplyNode {
  constructor(
    @Inject(KubernetesApis) private readonly apis: Pick<KubernetesApis, 'forCluster'>,
    @Inject(ResourcesService)
    private readonly resources: Pick<ResourcesService, 'track' | 'applied' | 'ofWorkflow'>,
    @Inject(DatabaseConnection)
    private readonly database: { readonly installation: { readonly installationId: string } },
    private readonly inventory: InventoryRepository,
    private readonly workflows: WorkflowsRepository,
    private readonly secrets: WorkflowSecrets,
    private readonly attempts: AttemptsFactory,
  ) {}

  /** Rejects with a StopReason when the service stops, and with what the database throws. */
  async apply(run: ActiveRun, node: WorkflowNode, signals: RunSignals): Promise<ApplyEnd> {
    const { definition, tenantId, workflowId, revision } = run;
    const object = objectOf(node.manifest, definition.namespace);
    const label = describeObject(object);
    const { clusterId } = definition;
    const claim = await this.inventory.claim({
      ...object,
      tenantId,
      workflowId,
      nodeId: node.id,
      clusterId,
      revision,
    });
    if (!claim.claimed) return ended(await this.taken(label, claim.holder));
    const manifest = this.openSecrets(run, node);
    if (manifest === undefined) {
      await this.giveUpClaim(claim.entry);
      const message = `${label}: its sealed values cannot be opened with the sealing keys at hand; put the values again`;
      return ended(report('failed', 'SecretUnreadable', message));
    }
    const definitionOfKind = findKind(object.kind);
    if (definitionOfKind === undefined) throw new Error(`${object.kind} passed the checks without being supported`);
    const job: ApplyJob = {
      run,
      node,
      owner: { installationId: this.database.installation.installationId, workflowId, nodeId: node.id },
      reference: { definition: definitionOfKind, namespace: object.namespace, name: object.name },
      label,
      entry: claim.entry,
      manifest,
      hash: createHash('sha256').update(canonicalJson(node.manifest)).digest('hex'),
      signals,
    };
    const attempts = this.attempts.begin(signals);
    for (;;) {
      const result = await this.attempt(job);
      if (!result.again) return result;
      if (!(await attempts.another(result.retryAfterMs))) return ended(result.report);
    }
  }

  private async attempt(job: ApplyJob): Promise<Try> {
    const { reference, signals } = job;
    let verb = 'get';
    try {
      const api = await this.apis.forCluster(job.run.definition.clusterId);
      const existing = await getMetadata(api, reference, signals.cut);
      verb = 'patch';
      if (existing === undefined) return await this.create(api, job);
      if (!isOwnedBy(existing, job.owner)) return await this.leaveAlone(job, existing);
      return await this.update(api, job, existing);
    } catch (error) {
      signals.cut.throwIfAborted();
      const { name, namespace, definition } = reference;
      const failure = failureOf(error, verb, definition.plural, { ...definition, namespace, name });
      return this.failed(job, failure);
    }
  }

  private async create(api: KubernetesApi, job: ApplyJob): Promise<Try> {
    const { entry, run, node, label } = job;
    const completed = await completedJob(this.resources, { ...job, workflowId: run.workflowId });
    if (completed !== null) return { again: false, ...ended(completed) };
    // An object that is found under a claim without a UID, with our manager on it, is one that this creation made.
    if (entry.uid !== null) {
      await this.inventory.expectCreation(SYSTEM_SCOPE, entry.id);
      job.entry = { ...entry, uid: null, origin: null };
    }
    const manifest = desiredManifest(job.manifest, {
      namespace: job.reference.namespace,
      owner: job.owner,
      withoutReplicas: false,
    });
    const resourceId = await this.track(job);
    const result = await applyObject(api, job.reference, { manifest, existing: undefined, signal: job.signals.cut });
    // Where there is nothing there is nobody to conflict with: an object that is there is looked at for whose it is.
    if (result.outcome === 'changed' || result.outcome === 'conflict') {
      return again('Conflict', `${label} came into being while node ${node.id} was about to create it`);
    }
    return this.conclude(job, result, { resourceId, origin: 'created', yieldedTo: [] });
  }

  private async update(api: KubernetesApi, job: ApplyJob, existing: ObjectMeta): Promise<Try> {
    const { entry, label } = job;
    if (existing.deletionTimestamp !== undefined) {
      const finalizers = existing.finalizers ?? [];
      const waitsFor = finalizers.length === 0 ? '' : `; it waits for the finalizers ${finalizers.join(', ')}`;
      return again('Terminating', `${label} is being deleted${waitsFor}; execute again once it is gone`);
    }
    const origin = originOf(entry, existing);
    // Before the apply: afterwards our manager is on it, and nothing would tell it from one that we made.
    if (origin === 'adopted' && entry.uid !== existing.uid) {
      await this.inventory.recordUid(SYSTEM_SCOPE, entry.id, existing.uid, origin);
      job.entry = { ...entry, uid: existing.uid, origin };
    }
    const scalers = setsReplicas(job.manifest) ? scalersOf(existing) : [];
    const manifest = desiredManifest(job.manifest, {
      namespace: job.reference.namespace,
      owner: job.owner,
      withoutReplicas: scalers.length > 0,
    });
    const resourceId = await this.track(job);
    const result = await applyObject(api, job.reference, { manifest, existing, signal: job.signals.cut });
    if (result.outcome === 'changed') return again('Conflict', `${label} kept being replaced by somebody else`);
    if (result.outcome === 'conflict' && result.conflicts.every(({ subresource }) => subresource === 'scale')) {
      return again('Conflict', `${label} kept being scaled by somebody else`);
    }
    return this.conclude(job, result, { resourceId, origin, yieldedTo: scalers });
  }

  private async conclude(
    job: ApplyJob,
    result: Exclude<ApplyResult, { outcome: 'changed' }>,
    found: {
      readonly resourceId: string;
      readonly origin: ObjectOrigin;
      readonly yieldedTo: readonly string[];
    },
  ): Promise<Try> {
    const { entry, run, hash, label } = job;
    if (!('metadata' in result)) {
      await this.giveUpClaim(entry);
      return { again: false, ...ended(refusalReport(label, result)) };
    }
    const { uid, resourceVersion, generation = null } = result.metadata;
    const outcome = truthfulOutcome(result.outcome, job, found.origin, uid);
    await this.inventory.recordApply(SYSTEM_SCOPE, entry.id, {
      uid,
      origin: found.origin,
      manifestHash: hash,
      lastApply: { runId: run.id, outcome },
    });
    await this.resources.applied(found.resourceId, { uid, resourceVersion, generation });
    const yielded =
      found.yieldedTo.length === 0
        ? report(outcome)
        : report(
            outcome,
            'ReplicasYielded',
            `spec.replicas was set through the scale subresource and is left as it is`,
            {
              fields: ['.spec.replicas'],
              managers: found.yieldedTo,
            },
          );
    const applied = { outcome, resourceId: found.resourceId, uid, resourceVersion };
    return { again: false, report: yielded, applied };
  }

  /** The name belongs to somebody else: nothing of it is changed, and our claim goes. */
  private async leaveAlone({ entry, label }: ApplyJob, existing: ObjectMeta): Promise<Try> {
    await this.inventory.release(SYSTEM_SCOPE, entry.id, entry.uid);
    const managers = foreignManagers(existing);
    const whose = managers.length === 0 ? 'nobody has signed it' : `it is managed by ${managers.join(', ')}`;
    const message = `${label} exists and is not this workflow's: ${whose}; delete it or take it out of the workflow`;
    return { again: false, ...ended(report('exists', 'NotOurs', message, { managers })) };
  }

  private async taken(label: string, holder: InventoryEntry): Promise<NodeReport> {
    const names = await this.workflows.names(SYSTEM_SCOPE, [holder.workflowId]);
    const owner = `workflow ${names.get(holder.workflowId) ?? holder.workflowId}`;
    const message = `${label} belongs to node ${holder.nodeId} of ${owner}; archive it there or take it out here`;
    return report('exists', 'workflow.object_taken', message, { managers: [owner] });
  }

  private async failed(job: ApplyJob, failure: Failure): Promise<Try> {
    if (failure.isTransient) return { again: true, report: failure.report, retryAfterMs: failure.retryAfterMs };
    if (!failure.mayHaveHappened) await this.giveUpClaim(job.entry);
    return { again: false, ...ended(failure.report) };
  }

  /** Nothing of ours came into being: others may have the name. A claim with a UID stays, its object is still ours. */
  private async giveUpClaim(entry: InventoryEntry): Promise<void> {
    if (entry.uid === null) await this.inventory.release(SYSTEM_SCOPE, entry.id, null);
  }

  private async track({ run, node, reference }: ApplyJob): Promise<string> {
    const { id } = await this.resources.track({
      tenantId: run.tenantId,
      workflowId: run.workflowId,
      nodeId: node.id,
      clusterId: run.definition.clusterId,
      kind: reference.definition.kind,
      namespace: reference.namespace,
      name: reference.name,
    });
    return id;
  }

  private openSecrets(run: ActiveRun, node: WorkflowNode): Manifest | undefined {
    try {
      return this.secrets.open({ tenantId: run.tenantId, id: run.workflowId }, node);
    } catch {
      // The sealer's error says no more than that; whatever it holds stays out of runs and logs.
      return undefined;
    }
  }
}
