import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import mongoose, { type Model, type Types } from 'mongoose';
import { type Scope, SYSTEM_SCOPE, tenantFilter } from '../../auth/principal.js';
import { isDuplicateKey } from '../../database/index.js';
import { cursorFilter } from '../../http/page.js';
import { canonicalJson } from '../definition/canonical-json.js';
import type { Run, RunState, RunSummary } from '../workflow.js';
import type { ActiveRun, ArchiveMode, RunDefinition, RunStep, StepChange } from './active-run.js';
import { type RunDocument, toActiveRun, toRun, toRunSummary } from './run.schema.js';

type SummaryDocument = Pick<RunDocument, '_id' | 'kind' | 'state' | 'startedAt' | 'endedAt'>;
/** A run as it is shown: without the definition, which may have a megabyte. */
type ShownDocument = Omit<RunDocument, 'definition'>;

export interface NewRun {
  readonly tenantId: string;
  readonly workflowId: string;
  readonly kind: 'execute' | 'archive';
  readonly revision: number;
  readonly nodes: readonly RunStep[];
  readonly definition: RunDefinition;
  readonly archiveMode: ArchiveMode | null;
  readonly startedAt: Date;
  readonly createdBy: string;
}

const SHOWN = { definition: 0 } as const;
const AFTER = { returnDocument: 'after', projection: SHOWN } as const;

/** The stored runs. Each change of a run is one conditional update that makes its version grow. */
@Injectable()
export class RunsRepository {
  constructor(@InjectModel('Run') private readonly model: Model<RunDocument>) {}

  /** Stores a run in progress; null when the workflow has one already. */
  async create(run: NewRun): Promise<Run | null> {
    const { definition, nodes, ...rest } = run;
    const document: RunDocument = {
      ...rest,
      _id: new mongoose.Types.ObjectId(),
      workflowId: toObjectId(run.workflowId),
      nodes: nodes.map((step) => ({ ...step, startedAt: null, endedAt: null, waitUntil: null })),
      definition: {
        ...definition,
        clusterId: toObjectId(definition.clusterId),
        nodes: definition.nodes.map(({ id, manifest, timeoutMs }) => ({
          id,
          manifest: canonicalJson(manifest),
          timeoutMs,
        })),
      },
      state: 'running',
      active: true,
      message: null,
      version: 1,
      endedAt: null,
      cancelRequested: false,
    };
    try {
      await this.model.create(document);
    } catch (error) {
      if (isDuplicateKey(error)) return null;
      throw error;
    }
    return toRun(document);
  }

  /** Takes a run back that was created for a workflow which turned out to be gone. */
  async discard(runId: string): Promise<void> {
    await this.model.deleteOne({ _id: runId });
  }

  async find(scope: Scope, workflowId: string, runId: string): Promise<Run | null> {
    const document = await this.model
      .findOne({ ...tenantFilter(scope), _id: runId, workflowId }, SHOWN)
      .lean<ShownDocument>();
    return document === null ? null : toRun(document);
  }

  async findById(scope: Scope, runId: string): Promise<Run | null> {
    const document = await this.model.findOne({ ...tenantFilter(scope), _id: runId }, SHOWN).lean<ShownDocument>();
    return document === null ? null : toRun(document);
  }

  /** Newest first, at most `limit`. */
  async list(
    scope: Scope,
    workflowId: string,
    page: { readonly cursor?: string | undefined; readonly limit: number },
  ): Promise<ShownDocument[]> {
    return this.model
      .find({ ...tenantFilter(scope), workflowId, ...cursorFilter(page) }, SHOWN)
      .sort({ _id: -1 })
      .limit(page.limit)
      .lean<ShownDocument[]>();
  }

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
      .findOne({ ...tenantFilter(scope), workflowId }, SHOWN)
      .sort({ _id: -1 })
      .lean<ShownDocument>();
    return document === null ? null : toRun(document);
  }

  /** The run in progress. */
  async active(scope: Scope, workflowId: string): Promise<Run | null> {
    const document = await this.model
      .findOne({ ...tenantFilter(scope), workflowId, active: true }, SHOWN)
      .lean<ShownDocument>();
    return document === null ? null : toRun(document);
  }

  /** Ids of all runs in progress, oldest first. */
  async activeIds(): Promise<string[]> {
    const found = await this.model
      .find({ ...tenantFilter(SYSTEM_SCOPE), active: true }, { _id: 1 })
      .sort({ _id: 1 })
      .lean<Array<{ _id: Types.ObjectId }>>();
    return found.map(({ _id }) => _id.toHexString());
  }

  /** All of a run in progress; null when it has ended. */
  async load(runId: string): Promise<ActiveRun | null> {
    const document = await this.model.findOne({ _id: runId, active: true }).lean<RunDocument>();
    return document === null ? null : toActiveRun(document);
  }

  /** Stores the changes together; null, and none of them, if the run has ended or a node has left its `from`. */
  async advance(runId: string, changes: readonly StepChange[]): Promise<Run | null> {
    const filter: Record<string, unknown> = { _id: runId, active: true };
    const $set: Record<string, unknown> = {};
    for (const { index, from, to } of changes) {
      filter[`nodes.${index}.outcome`] = from;
      for (const [field, value] of Object.entries(to)) $set[`nodes.${index}.${field}`] = value;
    }
    return this.update(filter, { $set });
  }

  /** Ends the run and lets go of its definition; null if it has ended already. */
  async end(runId: string, state: RunState, message: string | null, endedAt: Date): Promise<Run | null> {
    const $set = { state, active: false, message, endedAt, definition: null };
    return this.update({ _id: runId, active: true }, { $set });
  }

  /** null if there is no such run in progress. */
  async requestCancel(scope: Scope, workflowId: string, runId: string): Promise<Run | null> {
    return this.update(
      { ...tenantFilter(scope), _id: runId, workflowId, active: true },
      { $set: { cancelRequested: true } },
    );
  }

  /** Removes all but the newest `keep` runs of a workflow. */
  async prune(workflowId: string, keep: number): Promise<void> {
    const [oldestKept] = await this.model
      .find({ workflowId }, { _id: 1 })
      .sort({ _id: -1 })
      .skip(keep - 1)
      .limit(1)
      .lean<Array<{ _id: Types.ObjectId }>>();
    if (oldestKept === undefined) return;
    await this.model.deleteMany({ workflowId, _id: { $lt: oldestKept._id }, active: false });
  }

  async deleteOf(scope: Scope, workflowId: string): Promise<void> {
    await this.model.deleteMany({ ...tenantFilter(scope), workflowId });
  }

  private async update(filter: Record<string, unknown>, change: { readonly $set: object }): Promise<Run | null> {
    const document = await this.model
      .findOneAndUpdate(filter, { ...change, $inc: { version: 1 } }, AFTER)
      .lean<ShownDocument>();
    return document === null ? null : toRun(document);
  }
}

function toObjectId(id: string): Types.ObjectId {
  return new mongoose.Types.ObjectId(id);
}
