import { Injectable } from '@nestjs/common';
import type { Scope } from '../auth/principal.js';
import type { Page } from '../http/page.js';
import type { ListWorkflowsQuery } from './workflow.dto.js';
import type { WorkflowSummary } from './workflow.js';
import { fromDocument } from './workflow.schema.js';
import { WorkflowStatuses } from './workflow-statuses.js';
import { WorkflowsRepository } from './workflows.repository.js';

/** Workflows looked at for one page when health decides. The page ends there, and its cursor leads on. */
const MAX_SCANNED = 2_000;
const BATCH = 200;

/** Pages of workflows. Health is summed up from resources, so a filter by it is applied after the query. */
@Injectable()
export class WorkflowList {
  constructor(
    private readonly workflows: WorkflowsRepository,
    private readonly statuses: WorkflowStatuses,
  ) {}

  async page(scope: Scope, query: ListWorkflowsQuery): Promise<Page<WorkflowSummary>> {
    const wanted = query.health === undefined ? undefined : new Set<string | null>(query.health);
    const batchSize = wanted === undefined ? query.limit + 1 : BATCH;
    const matching: WorkflowSummary[] = [];
    let { cursor } = query;
    for (let scanned = 0; ;) {
      const batch = await this.batch(scope, query, { cursor, limit: batchSize });
      matching.push(...(wanted === undefined ? batch : batch.filter(({ health }) => wanted.has(health))));
      scanned += batch.length;
      cursor = batch.at(-1)?.id;
      if (matching.length > query.limit) {
        const items = matching.slice(0, query.limit);
        return { items, nextCursor: items.at(-1)?.id ?? null };
      }
      if (batch.length < batchSize) return { items: matching, nextCursor: null };
      if (scanned >= MAX_SCANNED) return { items: matching, nextCursor: cursor ?? null };
    }
  }

  private async batch(
    scope: Scope,
    query: ListWorkflowsQuery,
    page: { readonly cursor: string | undefined; readonly limit: number },
  ): Promise<WorkflowSummary[]> {
    const documents = await this.workflows.list(scope, query, page);
    const statuses = await this.statuses.ofMany(
      scope,
      documents.map(({ _id }) => _id.toHexString()),
    );
    return documents.flatMap((document) => {
      const status = statuses.get(document._id.toHexString());
      return status === undefined ? [] : [{ ...fromDocument(document), nodeCount: document.nodes.length, ...status }];
    });
  }
}
