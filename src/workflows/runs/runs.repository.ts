import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import type { Model } from 'mongoose';
import { type Scope, tenantFilter } from '../../auth/principal.js';
import type { Run, RunSummary } from '../workflow.js';
import { type RunDocument, toRun, toRunSummary } from './run.schema.js';

type SummaryDocument = Pick<RunDocument, '_id' | 'kind' | 'state' | 'startedAt' | 'endedAt'>;

/** The stored runs. */
@Injectable()
export class RunsRepository {
  constructor(@InjectModel('Run') private readonly model: Model<RunDocument>) {}

  /** The newest run of each workflow, of those that have one. One look into an index for each. */
  async lastSummaries(scope: Scope, workflowIds: readonly string[]): Promise<Map<string, RunSummary>> {
    const found = await Promise.all(
      workflowIds.map(async (workflowId) => {
        const last = await this.model
          .findOne({ ...tenantFilter(scope), workflowId }, { kind: 1, state: 1, startedAt: 1, endedAt: 1 })
          .sort({ _id: -1 })
          .lean<SummaryDocument>();
        return last === null ? [] : [[workflowId, toRunSummary(last)] as const];
      }),
    );
    return new Map(found.flat());
  }

  /** The newest run of a workflow with its nodes. */
  async last(scope: Scope, workflowId: string): Promise<Run | null> {
    const document = await this.model
      .findOne({ ...tenantFilter(scope), workflowId })
      .sort({ _id: -1 })
      .lean<RunDocument>();
    return document === null ? null : toRun(document);
  }

  /** The run in progress. */
  async active(scope: Scope, workflowId: string): Promise<Run | null> {
    const document = await this.model.findOne({ ...tenantFilter(scope), workflowId, active: true }).lean<RunDocument>();
    return document === null ? null : toRun(document);
  }

  async deleteOf(scope: Scope, workflowId: string): Promise<void> {
    await this.model.deleteMany({ ...tenantFilter(scope), workflowId });
  }
}
