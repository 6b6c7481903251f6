import { Inject, Injectable } from '@nestjs/common';
import type { Scope } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import type { ClusterHealthHistory } from './cluster-answer.dto.js';
import { type ClusterHealthConfig, clusterHealthConfig } from './cluster-health.config.js';
import { ClusterHealthHistoryRepository } from './cluster-health-history.repository.js';
import { ClustersRepository } from './clusters.repository.js';

const DAY_MS = 86_400_000;

export interface HistoryQuery {
  readonly since?: Date | undefined;
  readonly cursor?: Date | undefined;
  readonly limit: number;
}

/** Reads the history: each check while it is kept, hourly sums for what lies further back. */
@Injectable()
export class ClusterHealthHistoryService {
  constructor(
    private readonly clusters: ClustersRepository,
    private readonly history: ClusterHealthHistoryRepository,
    @Inject(clusterHealthConfig.token) private readonly config: ClusterHealthConfig,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** @throws AppError `resource.not_found` outside of the scope. */
  async of(scope: Scope, id: string, query: HistoryQuery): Promise<ClusterHealthHistory> {
    if (!(await this.clusters.find(scope, id))) throw AppError.notFound('cluster');
    const now = this.clock.now();
    const since = query.since ?? new Date(now - DAY_MS);
    const resolution = now - since.getTime() > this.config.sampleRetentionMs ? 'hour' : 'check';
    const range = { since, before: query.cursor, limit: query.limit };
    const points = await (resolution === 'hour'
      ? this.history.hourly(scope, id, range)
      : this.history.checks(scope, id, range));
    const items = points.slice(0, query.limit).map(({ at, ...point }) => ({ at: at.toISOString(), ...point }));
    return { resolution, items, nextCursor: points.length > query.limit ? (items.at(-1)?.at ?? null) : null };
  }
}
