import { Inject, Injectable, Logger } from '@nestjs/common';
import { Types } from 'mongoose';
import { ALL_TENANTS, DEFAULT_TENANT, type Principal, type Scope, SYSTEM_SCOPE, hasRole } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { toStoredLabels } from '../http/labels.js';
import { type Page, toPage } from '../http/page.js';
import type { Removed } from '../http/removed.js';
import type { ClusterAccess, ClusterAccessProvider } from '../kubernetes/cluster-access.js';
import { KubernetesApis } from '../kubernetes/index.js';
import { EventBus } from '../realtime/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { counted } from '../runtime/counted.js';
import { ClusterAccessInput, type GivenAccess } from './cluster-access-input.js';
import { ClusterAccessSealing, CredentialUnusable, endpointKey } from './cluster-access-sealing.js';
import { ClusterChecks, type Finding } from './cluster-checks.js';
import type { ClusterChanged } from './cluster-events.js';
import { ClusterHealthHistoryRepository } from './cluster-health-history.repository.js';
import { ClusterRequestRates } from './cluster-request-rates.js';
import type { ClusterUsage } from './cluster-usage.js';
import { toCluster, toClusterHealth } from './cluster-view.js';
import type { CreateCluster, ReplaceCredentials, UpdateCluster } from './cluster.dto.js';
import type { Cluster } from './cluster.js';
import type { ClusterDocument } from './cluster.schema.js';
import { ClusterUniqueness } from './cluster-uniqueness.js';
import { type ClusterChange, type ClusterListQuery, ClustersRepository } from './clusters.repository.js';

const MAX_OBJECTS_TOLD = 100;

/** Rules of registering, changing and removing clusters. An endpoint or credential is tried before it is stored. */
@Injectable()
export class ClustersService implements ClusterAccessProvider {
  private readonly log = new Logger(ClustersService.name);
  private usage: ClusterUsage | undefined;

  constructor(
    private readonly clusters: ClustersRepository,
    private readonly history: ClusterHealthHistoryRepository,
    private readonly input: ClusterAccessInput,
    private readonly sealing: ClusterAccessSealing,
    private readonly uniqueness: ClusterUniqueness,
    private readonly checks: ClusterChecks,
    private readonly rates: ClusterRequestRates,
    private readonly apis: KubernetesApis,
    private readonly bus: EventBus,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** Says who uses clusters. A call and no injected port: whoever that is builds on this room. */
  registerUsage(usage: ClusterUsage): void {
    this.usage = usage;
  }

  /** @throws AppError `resource.not_found` outside of the scope. */
  async get(scope: Scope, id: string): Promise<Cluster> {
    return toCluster(await this.find(scope, id));
  }

  async list(scope: Scope, query: ClusterListQuery): Promise<Page<Cluster>> {
    return toPage(await this.clusters.list(scope, query), query.limit, toCluster);
  }

  async accessOf(clusterId: string): Promise<ClusterAccess> {
    const cluster = await this.find(SYSTEM_SCOPE, clusterId);
    try {
      return this.sealing.open(cluster);
    } catch (error) {
      if (!(error instanceof CredentialUnusable)) throw error;
      const detail = `cluster "${cluster.name}": ${error.reason.message}`;
      throw new AppError('cluster.credential_required', detail, { cause: error });
    }
  }

  /**
   * Stores a cluster whether it can be reached or not, and tells which.
   * @throws AppError `request.invalid`, `egress.refused`, `resource.name_taken`, `cluster.already_registered`
   */
  async create(principal: Principal, input: CreateCluster): Promise<Cluster> {
    const tenantId = tenantOf(principal, input.tenantId);
    const given = await this.input.ofRegistration(input);
    this.rates.takeAccessChange(principal);
    const _id = new Types.ObjectId();
    const access = accessFor(_id.toHexString(), 1, given);
    await this.uniqueness.refuseTaken(tenantId, { name: input.name, endpointKey: endpointKey(given.endpoint) });
    const namespaces = input.namespaces ?? null;
    const finding = await this.try(access, namespaces);
    const now = new Date(this.clock.now());
    const cluster: ClusterDocument = {
      _id,
      tenantId,
      name: input.name,
      labels: toStoredLabels(input.labels ?? {}),
      namespaces,
      ...this.sealing.seal(tenantId, access, given.context),
      metadata: null,
      ...finding,
      sequence: 1,
      version: 1,
      createdAt: now,
      createdBy: principal.id,
      updatedAt: now,
    };
    await this.uniqueness.guard(cluster, () => this.clusters.insert(cluster));
    this.publish(cluster, 'created');
    await this.checks.tell(cluster);
    return toCluster(cluster);
  }

  /** @throws AppError `resource.version_conflict`, `auth.forbidden`, `cluster.credential_required`, and as `create` does. */
  async update(principal: Principal, id: string, input: UpdateCluster): Promise<Cluster> {
    const current = await this.findVersion(principal, id, input.version);
    const given = this.input.ofChange(input, current);
    if (given && !hasRole(principal, 'admin')) {
      throw new AppError('auth.forbidden', 'endpoint and credential of a cluster are changed by the role admin only');
    }
    const change: ClusterChange = {
      ...(input.name === undefined ? {} : { name: input.name }),
      ...(input.labels === undefined ? {} : { labels: toStoredLabels(input.labels) }),
      ...(input.namespaces === undefined ? {} : { namespaces: input.namespaces }),
    };
    if (given) return this.replaceAccess(principal, current, given, change);
    const updated = await this.write(principal, current, change);
    if (input.namespaces === undefined) return toCluster(updated);
    const checked = await this.checks.check(id, { metadata: 'always' });
    return toCluster(checked ?? updated);
  }

  /** @throws AppError as `update` does. */
  async replaceCredentials(principal: Principal, id: string, input: ReplaceCredentials): Promise<Cluster> {
    const current = await this.findVersion(principal, id, input.version);
    const given = await this.input.ofRotation(input, current);
    return this.replaceAccess(principal, current, given, {});
  }

  /** @throws AppError `resource.not_found`, `request.rate_limited` */
  async check(principal: Principal, id: string, metadata: boolean): Promise<Cluster> {
    await this.find(principal, id);
    this.rates.takeCheck(principal, id);
    const checked = await this.checks.check(id, { metadata: metadata ? 'always' : 'if-stale' });
    if (!checked) throw AppError.notFound('cluster');
    return toCluster(checked);
  }

  /** @throws AppError `cluster.in_use` with the objects that workflows have in it, unless they are abandoned. */
  async delete(scope: Scope, id: string, options: { readonly abandon: boolean }): Promise<Removed> {
    const { name } = await this.find(scope, id);
    if (options.abandon) await this.usage?.abandon(id);
    const objects = (await this.usage?.objectsOf(id)) ?? [];
    if (objects.length > 0) {
      throw new AppError(
        'cluster.in_use',
        `workflows have ${counted(objects.length, 'object')} in cluster "${name}": archive these workflows first, ` +
          'or leave the objects behind with ?resources=abandon',
        { details: { objects: objects.slice(0, MAX_OBJECTS_TOLD), objectCount: objects.length } },
      );
    }
    const deleted = await this.clusters.delete(scope, id);
    if (!deleted) throw AppError.notFound('cluster');
    this.publish({ ...deleted, sequence: deleted.sequence + 1 }, 'deleted');
    await this.apis.close(id);
    await this.history.deleteOf(id);
    return { tenantId: deleted.tenantId, name };
  }

  private async replaceAccess(
    principal: Principal,
    current: ClusterDocument,
    given: GivenAccess,
    change: ClusterChange,
  ): Promise<Cluster> {
    this.rates.takeAccessChange(principal);
    const id = current._id.toHexString();
    const access = accessFor(id, current.accessVersion + 1, given);
    const sealed = this.sealing.seal(current.tenantId, access, given.context);
    await this.uniqueness.refuseTaken(current.tenantId, { endpointKey: sealed.endpointKey }, id);
    const namespaces = change.namespaces === undefined ? current.namespaces : change.namespaces;
    const finding = await this.try(access, namespaces);
    const sameEndpoint = sealed.endpointKey === current.endpointKey;
    const uid = finding.uid ?? (sameEndpoint ? current.uid : null);
    const updated = await this.write(principal, current, { ...change, ...sealed, ...finding, uid });
    // Nothing goes on under the old credential, which may have been revoked for a reason.
    await this.apis.close(id);
    await this.checks.tell(updated);
    return toCluster(updated);
  }

  private async write(scope: Scope, current: ClusterDocument, change: ClusterChange): Promise<ClusterDocument> {
    const id = current._id.toHexString();
    const updated = await this.uniqueness.guard({ ...current, ...change }, () =>
      this.clusters.update(scope, id, current.version, change, new Date(this.clock.now())),
    );
    // Gone or changed while it was tried: finding it again tells which.
    if (!updated) throw conflict(await this.find(scope, id));
    this.publish(updated, 'updated');
    return updated;
  }

  /** An address that is not allowed is a mistake in the request; every other failure is a state of the cluster. */
  private async try(access: ClusterAccess, namespaces: readonly string[] | null): Promise<Finding> {
    const finding = await this.checks.probe(access, namespaces, { metadata: true });
    if (finding.reason?.code === 'egress') throw new AppError('egress.refused', finding.reason.message);
    return finding;
  }

  private async find(scope: Scope, id: string): Promise<ClusterDocument> {
    const cluster = await this.clusters.find(scope, id);
    if (!cluster) throw AppError.notFound('cluster');
    return cluster;
  }

  private async findVersion(scope: Scope, id: string, version: number): Promise<ClusterDocument> {
    const cluster = await this.find(scope, id);
    if (cluster.version !== version) throw conflict(cluster);
    return cluster;
  }

  private publish(cluster: ClusterDocument, change: ClusterChanged['change']): void {
    const { tenantId, name, sequence } = cluster;
    const clusterId = cluster._id.toHexString();
    const health = change === 'deleted' ? null : toClusterHealth(cluster);
    this.log.log({ message: `a cluster was ${change}`, cluster: name, tenantId });
    this.bus.publish('cluster.changed', { clusterId, tenantId, name, change, health, sequence });
  }
}

const conflict = (current: ClusterDocument): AppError =>
  new AppError('resource.version_conflict', `the cluster has version ${current.version} now; read it and try again`, {
    details: { currentVersion: current.version },
  });

function accessFor(clusterId: string, accessVersion: number, { endpoint, credential }: GivenAccess): ClusterAccess {
  return { clusterId, accessVersion, ...endpoint, credential };
}

function tenantOf(principal: Principal, requested: string | undefined): string {
  if (principal.tenantId === ALL_TENANTS) return requested ?? DEFAULT_TENANT;
  if (requested === undefined || requested === principal.tenantId) return principal.tenantId;
  throw AppError.invalid([{ path: 'tenantId', message: `"${principal.id}" belongs to tenant ${principal.tenantId}` }]);
}
