import { Injectable } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import type { ClusterDocument } from './cluster.schema.js';
import { ClusterTaken, ClustersRepository } from './clusters.repository.js';

interface Marks {
  readonly name?: string | undefined;
  readonly endpointKey?: string | undefined;
  readonly uid?: string | null | undefined;
}

/** A tenant has one cluster of a name, and registers the same cluster once. Told by naming the first. */
@Injectable()
export class ClusterUniqueness {
  constructor(private readonly clusters: ClustersRepository) {}

  /** @throws AppError `resource.name_taken`, `cluster.already_registered` */
  async refuseTaken(tenantId: string, marks: Marks, exceptId?: string): Promise<void> {
    const { name, endpointKey, uid } = marks;
    if (name !== undefined && (await this.clusters.findTwin(tenantId, { name }, exceptId))) {
      throw new AppError('resource.name_taken', `a cluster is called "${name}" already; take another name`, {
        errors: [{ path: 'name', message: 'is taken' }],
      });
    }
    const twin =
      (endpointKey === undefined ? null : await this.clusters.findTwin(tenantId, { endpointKey }, exceptId)) ??
      (uid === undefined || uid === null ? null : await this.clusters.findTwin(tenantId, { uid }, exceptId));
    if (!twin) return;
    throw new AppError('cluster.already_registered', `this is the cluster "${twin.name}"; change that one instead`, {
      details: { clusterId: twin._id.toHexString(), clusterName: twin.name },
    });
  }

  /** Writes, and says which cluster was first where a unique index refuses it. */
  async guard<T>(cluster: ClusterDocument, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      if (!(error instanceof ClusterTaken)) throw error;
      await this.refuseTaken(cluster.tenantId, cluster, cluster._id.toHexString());
      // The first one was deleted between the write and the look for it.
      throw new AppError('cluster.already_registered', 'this cluster was registered at the same time; try again');
    }
  }
}
