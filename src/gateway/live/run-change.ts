import { create } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { Scope } from '../../auth/principal.js';
import { type UndecodedRunEvent, UndecodedRunEventSchema } from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import { type RunEvent, RunEventSchema, RunEventType } from '../gen/flowwatch/v1/stream_service_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { RunOwners } from '../routing/run-owners.js';
import { shownId } from '../routing/shown-id.js';
import type { WorkflowOwners } from '../routing/workflow-owners.js';
import { withIds } from '../runs/undecoded-run.js';
import { type LiveRun, decodeRun } from './live-run.js';

/** Says which ids must be shown qualified to whom. */
export interface IdOwners {
  readonly runs: Pick<RunOwners, 'isAmbiguous'>;
  readonly workflows: Pick<WorkflowOwners, 'isAmbiguous'>;
}

/** Where a change comes from and how its ids are shown. */
export interface ChangeOrigin {
  readonly subsystem: Subsystem;
  readonly owners: IdOwners;
}

/** One state of a run on its way to watchers. Its messages are made once for all of a tenant. */
export class RunChange {
  private undecodedOf: { readonly tenantId: string; readonly message: UndecodedRunEvent } | undefined;
  private decodedOf: { readonly tenantId: string; readonly message: RunEvent } | undefined;

  constructor(
    private readonly origin: ChangeOrigin,
    readonly run: LiveRun,
    readonly eventType: RunEventType,
    readonly eventTime: Timestamp | undefined,
  ) {}

  get subsystem(): Subsystem {
    return this.origin.subsystem;
  }

  /** A later state of the run says all that this one does. */
  get maySupersede(): boolean {
    return this.eventType === RunEventType.UPDATED;
  }

  undecoded(scope: Scope): UndecodedRunEvent {
    if (this.undecodedOf?.tenantId === scope.tenantId) return this.undecodedOf.message;
    const { eventType, eventTime } = this;
    const run = withIds(this.run.bytes, this.shownIds(scope));
    const message = create(UndecodedRunEventSchema, { eventType, run, ...(eventTime ? { eventTime } : {}) });
    this.undecodedOf = { tenantId: scope.tenantId, message };
    return message;
  }

  decoded(scope: Scope): RunEvent {
    if (this.decodedOf?.tenantId === scope.tenantId) return this.decodedOf.message;
    const { eventType, eventTime } = this;
    const { runId, workflowId } = this.shownIds(scope);
    const run = decodeRun(this.run);
    run.id = runId ?? run.id;
    run.workflowId = workflowId ?? run.workflowId;
    const message = create(RunEventSchema, { eventType, run, ...(eventTime ? { eventTime } : {}) });
    this.decodedOf = { tenantId: scope.tenantId, message };
    return message;
  }

  /** undefined for what is shown as it is. */
  private shownIds(scope: Scope): { readonly runId?: string | undefined; readonly workflowId?: string | undefined } {
    const { subsystem, owners } = this.origin;
    const { id, workflowId } = this.run;
    const qualify = (bare: string): string => shownId({ subsystem, qualified: true }, bare, true);
    return {
      runId: owners.runs.isAmbiguous(id, scope) ? qualify(id) : undefined,
      workflowId: owners.workflows.isAmbiguous(workflowId, scope) ? qualify(workflowId) : undefined,
    };
  }
}
