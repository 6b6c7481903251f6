import { Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { EventBus, SseBroadcaster, type StreamItem, type StreamTopic } from '../realtime/index.js';
import { toClusterHealth } from './cluster-view.js';
import type { ClusterDocument } from './cluster.schema.js';
import { ClustersRepository } from './clusters.repository.js';

const PAGE = 200;

/** The stream keys `clusters` and `cluster:<id>`: a snapshot of the health, then each check and change. */
@Injectable()
export class ClusterStreamTopics {
  constructor(
    private readonly clusters: ClustersRepository,
    private readonly bus: EventBus,
    private readonly broadcaster: SseBroadcaster,
  ) {}

  /** Before the service starts. */
  register(): void {
    this.broadcaster.registerTopic(this.allTopic());
    this.broadcaster.registerTopic(this.oneTopic());
    this.bus.subscribe('cluster streams', ['cluster.checked', 'cluster.changed'], (event) => {
      const { clusterId, tenantId, sequence, health } = event.payload;
      const gone = event.type === 'cluster.changed' ? { clusterId, name: event.payload.name, deleted: true } : null;
      this.publish(tenantId, itemOf(clusterId, sequence, health ?? gone));
      if (gone && health === null) this.broadcaster.retire(`cluster:${clusterId}`);
    });
  }

  private publish(tenantId: string, item: StreamItem): void {
    this.broadcaster.publish('clusters', tenantId, item);
    this.broadcaster.publish(`cluster:${item.entity}`, tenantId, item);
  }

  private allTopic(): StreamTopic {
    return {
      prefix: 'clusters',
      authorize: (_principal, id) => (id === '' ? Promise.resolve() : Promise.reject(AppError.notFound('stream'))),
      snapshot: (principal) => this.all(principal),
    };
  }

  private oneTopic(): StreamTopic {
    return {
      prefix: 'cluster',
      authorize: async (principal, id) => {
        if (!(await this.find(principal, id))) throw AppError.notFound('cluster');
      },
      snapshot: async (principal, id) => {
        const cluster = await this.find(principal, id);
        return cluster ? [storedItem(cluster)] : [];
      },
    };
  }

  private async find(principal: Principal, id: string): Promise<ClusterDocument | null> {
    return /^[0-9a-f]{24}$/.test(id) ? this.clusters.find(principal, id) : null;
  }

  private async all(principal: Principal): Promise<readonly StreamItem[]> {
    const items: StreamItem[] = [];
    let cursor: string | undefined;
    do {
      const page = await this.clusters.list(principal, { limit: PAGE, cursor });
      items.push(...page.slice(0, PAGE).map(storedItem));
      cursor = page.length > PAGE ? items.at(-1)?.entity : undefined;
    } while (cursor !== undefined);
    return items;
  }
}

function storedItem(cluster: ClusterDocument): StreamItem {
  return itemOf(cluster._id.toHexString(), cluster.sequence, toClusterHealth(cluster));
}

function itemOf(clusterId: string, sequence: number, data: unknown): StreamItem {
  return { eventType: 'cluster_health', entity: clusterId, version: sequence, data };
}
