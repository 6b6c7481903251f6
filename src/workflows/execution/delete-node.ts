import { Inject, Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { DatabaseConnection } from '../../database/index.js';
import {
  deleteObject,
  findKind,
  getMetadata,
  KubernetesApis,
  type ObjectMeta,
  type ObjectReference,
} from '../../kubernetes/index.js';
import { ResourcesService } from '../../watchers/index.js';
import type { InventoryEntry } from '../inventory/inventory-entry.js';
import { InventoryRepository } from '../inventory/inventory.repository.js';
import type { ActiveRun, ArchiveTarget } from '../runs/active-run.js';
import { AttemptsFactory } from './attempts.js';
import { GoneWait } from './gone-wait.js';
import { describeObject, failureOf, type NodeReport, report } from './node-report.js';
import { foreignManagers, isOwnedBy, wasAppliedByUs } from './object-owner.js';
import type { RunSignals } from './run-driver.js';

/** Kinds that own other objects: they stay, terminating, until what they own is gone. */
const OWNERS: ReadonlySet<string> = new Set(['Deployment', 'StatefulSet', 'DaemonSet', 'ReplicaSet', 'Job', 'CronJob']);

interface DeleteJob {
  readonly run: ActiveRun;
  readonly nodeId: string;
  readonly target: ArchiveTarget;
  readonly reference: ObjectReference;
  readonly label: string;
  readonly patience: Patience;
  readonly signals: RunSignals;
}

interface Patience {
  /** When what is still there is told as `remains`. */
  readonly waitUntil: Date;
  /** Called once the API server was asked and only waiting is left. */
  readonly releaseSlot: () => void;
}

/** Deletes the object of one node if we made it, and sees it gone. May be repeated at any point. */
@Injectable()
export class DeleteNode {
  constructor(
    @Inject(KubernetesApis) private readonly apis: Pick<KubernetesApis, 'forCluster'>,
    @Inject(ResourcesService)
    private readonly resources: Pick<ResourcesService, 'expectDeletion'>,
    @Inject(DatabaseConnection)
    private readonly database: { readonly installation: { readonly installationId: string } },
    private readonly inventory: InventoryRepository,
    private readonly attempts: AttemptsFactory,
    private readonly goneWait: GoneWait,
  ) {}

  /** Rejects with a StopReason when the service stops, and with what the database throws. */
  async delete(
    run: ActiveRun,
    step: { readonly nodeId: string; readonly target: ArchiveTarget },
    patience: Patience,
    signals: RunSignals,
  ): Promise<NodeReport> {
    const { nodeId, target } = step;
    const definition = findKind(target.kind);
    if (definition === undefined) throw new Error(`${target.kind} is not a supported kind`);
    const reference = { definition, namespace: target.namespace, name: target.name };
    const job = { run, nodeId, target, reference, label: describeObject(target), patience, signals };
    const entry = target.entryId === null ? null : await this.inventory.find(SYSTEM_SCOPE, target.entryId);
    // Released by this run, before it was cut.
    if (target.entryId !== null && entry === null) return report('deleted');
    const attempts = this.attempts.begin(signals);
    for (;;) {
      try {
        return await this.attempt(job, entry);
      } catch (error) {
        signals.stop.throwIfAborted();
        signals.cut.throwIfAborted();
        const failure = failureOf(error, 'delete', definition.plural, target);
        if (!failure.isTransient || !(await attempts.another(failure.retryAfterMs))) return failure.report;
      }
    }
  }

  private async attempt(job: DeleteJob, entry: InventoryEntry | null): Promise<NodeReport> {
    const { run, nodeId, reference, label, signals } = job;
    const api = await this.apis.forCluster(run.definition.clusterId);
    const existing = await getMetadata(api, reference, signals.cut);
    if (existing === undefined) return this.wasGone(label, entry);
    const foreign = this.whyNotOurs(run, entry, existing, label);
    if (foreign !== null || entry === null) {
      if (entry !== null) await this.inventory.release(SYSTEM_SCOPE, entry.id, entry.uid);
      return foreign ?? report('kept');
    }
    const { uid } = existing;
    await this.resources.expectDeletion(run.workflowId, nodeId, uid);
    const propagationPolicy = OWNERS.has(reference.definition.kind) ? 'Foreground' : 'Background';
    await deleteObject(api, reference, { uid, propagationPolicy, signal: signals.cut });
    job.patience.releaseSlot();
    const end = await this.goneWait.wait(
      { api, reference, uid, workflowId: run.workflowId, nodeId, until: job.patience.waitUntil },
      signals,
    );
    if (end.gone) {
      await this.inventory.release(SYSTEM_SCOPE, entry.id, entry.uid);
      return report('deleted');
    }
    const { finalizers } = end;
    const waitsFor = finalizers.length === 0 ? 'its end was not seen' : `waits for ${finalizers.join(', ')}`;
    const message = `${label} was told to go and is still there: ${waitsFor}${end.why}`;
    return report('remains', 'Terminating', message, { managers: finalizers });
  }

  private async wasGone(label: string, entry: InventoryEntry | null): Promise<NodeReport> {
    if (entry !== null) await this.inventory.release(SYSTEM_SCOPE, entry.id, entry.uid);
    return report('deleted', 'NotFound', `there is no ${label} any more`);
  }

  /** null when we created exactly this object. */
  private whyNotOurs(
    run: ActiveRun,
    entry: InventoryEntry | null,
    existing: ObjectMeta,
    label: string,
  ): NodeReport | null {
    const { installationId } = this.database.installation;
    if (entry === null || !isOwnedBy(existing, { installationId, workflowId: run.workflowId })) {
      const managers = foreignManagers(existing);
      return report('kept', 'NotOurs', `${label} is not this workflow's and was left alone`, { managers });
    }
    // Without a UID the answer to our creation was lost; the field manager says that it went through.
    const isCreatedByUs = entry.uid === null ? wasAppliedByUs(existing) : entry.origin === 'created';
    if (!isCreatedByUs) return report('kept', 'NotCreatedByUs', `${label} was there before the workflow took it over`);
    if (entry.uid !== null && entry.uid !== existing.uid) {
      return report('kept', 'Recreated', `${label} was made anew by somebody else and was left alone`);
    }
    return null;
  }
}
