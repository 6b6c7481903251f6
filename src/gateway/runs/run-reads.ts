import { Inject, Injectable } from '@nestjs/common';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  type UndecodedGetRunResponse,
  UndecodedGetRunResponseSchema,
} from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import {
  type GetRunLogsRequest,
  type GetRunLogsResponse,
  type GetRunRequest,
  type GetRunResponse,
  type GetRunStepsRequest,
  type GetRunStepsResponse,
  type GetRunTimelineRequest,
  type GetRunTimelineResponse,
  GetRunResponseSchema,
  RunService,
} from '../gen/flowwatch/v1/run_service_pb.js';
import type { Run } from '../gen/flowwatch/v1/types_pb.js';
import { type Answer, wholeAnswer } from '../routing/answer.js';
import { type Caller, callOptions } from '../routing/caller.js';
import { pageLimit, requireId } from '../routing/limits.js';
import { nobodyHas } from '../routing/owner-error.js';
import { GET_RUN_UNDECODED } from '../routing/run-lookup.js';
import { type OwnedRun, type RunOwners, RUN_OWNERS } from '../routing/run-owners.js';
import { shownId } from '../routing/shown-id.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { callOwner } from './call-owner.js';
import { timelineOfSteps } from './run-timeline.js';
import { readWorkflowId, withIds } from './undecoded-run.js';

const { getRun, getRunLogs, getRunSteps, getRunTimeline } = RunService.method;

/** What is read of one run: asked of its owner alone. Ids in answers are bare or qualified as in the request. */
@Injectable()
export class RunReads {
  constructor(
    @Inject(RUN_OWNERS) private readonly owners: RunOwners,
    private readonly workflowOwners: WorkflowOwners,
  ) {}

  getRun(caller: Caller, { runId }: GetRunRequest): Promise<Answer<GetRunResponse>> {
    return this.ask(caller, runId, async (owned) => {
      const run = await this.readRun(caller, owned);
      run.id = this.shown(caller, owned);
      run.workflowId = this.workflowId(caller, owned, run.workflowId) ?? run.workflowId;
      return create(GetRunResponseSchema, { run });
    });
  }

  /** For clients that take the wire form as it is: the run is passed on, only ids that must change are added to it. */
  getRunUndecoded(caller: Caller, request: GetRunRequest): Promise<Answer<UndecodedGetRunResponse>> {
    return this.ask(caller, request.runId, async (owned) => {
      const answer = await owned.subsystem.connection.read(
        GET_RUN_UNDECODED,
        { runId: owned.runId },
        callOptions(caller),
      );
      if (answer.run.length === 0) throw nobodyHas('run', owned.runId, []);
      const runId = this.shown(caller, owned);
      const workflowId = this.workflowId(caller, owned, workflowIdOf(answer.run, owned));
      if (runId === owned.runId && workflowId === undefined) return answer;
      return create(UndecodedGetRunResponseSchema, { run: withIds(answer.run, { runId, workflowId }) });
    });
  }

  getRunSteps(caller: Caller, { runId }: GetRunStepsRequest): Promise<Answer<GetRunStepsResponse>> {
    return this.ask(caller, runId, async (owned) => {
      const { connection } = owned.subsystem;
      const answer = await connection.read(getRunSteps, { runId: owned.runId }, callOptions(caller));
      for (const step of answer.steps) step.runId = this.shown(caller, owned);
      return answer;
    });
  }

  /** Made from the run and its steps where the owner does not offer it. */
  getRunTimeline(caller: Caller, { runId }: GetRunTimelineRequest): Promise<Answer<GetRunTimelineResponse>> {
    return this.ask(caller, runId, async (owned) => {
      const timeline = await this.readTimeline(caller, owned);
      timeline.runId = this.shown(caller, owned);
      return timeline;
    });
  }

  /** The cursor is the owner's own. */
  getRunLogs(caller: Caller, request: GetRunLogsRequest): Promise<Answer<GetRunLogsResponse>> {
    const { stepName, levels } = request;
    const pagination = { cursor: request.pagination?.cursor ?? '', limit: pageLimit(request.pagination?.limit) };
    return this.ask(caller, request.runId, async (owned) => {
      const answer = await owned.subsystem.connection.read(
        getRunLogs,
        { runId: owned.runId, stepName, levels, pagination },
        callOptions(caller),
      );
      for (const entry of answer.logs) entry.runId = this.shown(caller, owned);
      return answer;
    });
  }

  private async ask<T>(caller: Caller, runId: string, read: (owned: OwnedRun) => Promise<T>): Promise<Answer<T>> {
    requireId(runId, 'run_id');
    const find = (): Promise<OwnedRun> => this.owners.find(caller, runId);
    return wholeAnswer(await callOwner(this.owners, find, read));
  }

  private async readRun(caller: Caller, { subsystem, runId }: OwnedRun): Promise<Run> {
    const { run } = await subsystem.connection.read(getRun, { runId }, callOptions(caller));
    if (!run) throw nobodyHas('run', runId, []);
    return run;
  }

  private async readTimeline(caller: Caller, owned: OwnedRun): Promise<GetRunTimelineResponse> {
    const { connection } = owned.subsystem;
    const options = callOptions(caller);
    try {
      return await connection.read(getRunTimeline, { runId: owned.runId }, options);
    } catch (error) {
      if (ConnectError.from(error).code !== Code.Unimplemented) throw error;
    }
    const [run, { steps }] = await Promise.all([
      this.readRun(caller, owned),
      connection.read(getRunSteps, { runId: owned.runId }, options),
    ]);
    return timelineOfSteps(run, steps);
  }

  private shown({ principal }: Caller, owned: OwnedRun): string {
    return shownId(owned, owned.runId, this.owners.isAmbiguous(owned.runId, principal));
  }

  /** undefined if it is shown as it is. */
  private workflowId({ principal }: Caller, { subsystem }: OwnedRun, workflowId: string): string | undefined {
    if (!this.workflowOwners.isAmbiguous(workflowId, principal)) return undefined;
    return shownId({ subsystem, qualified: true }, workflowId, true);
  }
}

function workflowIdOf(run: Uint8Array, { subsystem }: OwnedRun): string {
  try {
    return readWorkflowId(run);
  } catch (error) {
    const message = `subsystem ${subsystem.id} answered with a run that cannot be read`;
    throw new ConnectError(message, Code.Unavailable, undefined, undefined, error);
  }
}
