import { Inject, Injectable } from '@nestjs/common';
import type { DescMessage, DescMethodUnary, MessageInitShape, MessageShape } from '@bufbuild/protobuf';
import { create } from '@bufbuild/protobuf';
import {
  type CancelRunRequest,
  type CancelRunResponse,
  type PauseRunRequest,
  type PauseRunResponse,
  type ResumeRunRequest,
  type ResumeRunResponse,
  type RetryFromStepRequest,
  type RetryFromStepResponse,
  type RetryRunRequest,
  type RetryRunResponse,
  type SkipStepRequest,
  type SkipStepResponse,
  RetryFromStepResponseSchema,
  RetryRunResponseSchema,
  RunService,
} from '../gen/flowwatch/v1/run_service_pb.js';
import { type Answer, wholeAnswer } from '../routing/answer.js';
import { type Caller, callOptions } from '../routing/caller.js';
import { requireId } from '../routing/limits.js';
import { type OwnedRun, type RunOwners, RUN_OWNERS } from '../routing/run-owners.js';
import { shownId } from '../routing/shown-id.js';
import { callOwner } from './call-owner.js';
import { type CommandCapability, mayHaveTakenEffect, requireCapability } from './run-command-error.js';

const { cancelRun, pauseRun, resumeRun, retryFromStep, retryRun, skipStep } = RunService.method;

/** What is done to one run: by its owner alone, once. */
@Injectable()
export class RunCommands {
  constructor(@Inject(RUN_OWNERS) private readonly owners: RunOwners) {}

  async retryRun(caller: Caller, request: RetryRunRequest): Promise<Answer<RetryRunResponse>> {
    const { owned, answer } = await this.command(caller, request.runId, 'retryRun', retryRun, {});
    const newRunId = this.newRunId(caller, owned, answer.newRunId);
    return wholeAnswer(create(RetryRunResponseSchema, { newRunId }));
  }

  async retryFromStep(caller: Caller, request: RetryFromStepRequest): Promise<Answer<RetryFromStepResponse>> {
    const stepName = requireId(request.stepName, 'step_name');
    const { owned, answer } = await this.command(caller, request.runId, 'retryFromStep', retryFromStep, { stepName });
    const newRunId = this.newRunId(caller, owned, answer.newRunId);
    return wholeAnswer(create(RetryFromStepResponseSchema, { newRunId }));
  }

  async cancelRun(caller: Caller, { runId, reason }: CancelRunRequest): Promise<Answer<CancelRunResponse>> {
    const { answer } = await this.command(caller, runId, 'cancelRun', cancelRun, { reason });
    return wholeAnswer(answer);
  }

  async pauseRun(caller: Caller, { runId }: PauseRunRequest): Promise<Answer<PauseRunResponse>> {
    const { answer } = await this.command(caller, runId, 'pauseRun', pauseRun, {});
    return wholeAnswer(answer);
  }

  async resumeRun(caller: Caller, { runId }: ResumeRunRequest): Promise<Answer<ResumeRunResponse>> {
    const { answer } = await this.command(caller, runId, 'resumeRun', resumeRun, {});
    return wholeAnswer(answer);
  }

  async skipStep(caller: Caller, request: SkipStepRequest): Promise<Answer<SkipStepResponse>> {
    const { runId, reason } = request;
    const stepName = requireId(request.stepName, 'step_name');
    const { answer } = await this.command(caller, runId, 'skipStep', skipStep, { stepName, reason });
    return wholeAnswer(answer);
  }

  private command<I extends DescMessage, O extends DescMessage>(
    caller: Caller,
    text: string,
    capability: CommandCapability,
    method: DescMethodUnary<I, O>,
    input: MessageInitShape<I>,
  ): Promise<{ readonly owned: OwnedRun; readonly answer: MessageShape<O> }> {
    requireId(text, 'run_id');
    const find = (): Promise<OwnedRun> => this.owners.findSole(caller, text);
    return callOwner(this.owners, find, async (owned) => {
      caller.commanded?.found(text, owned.subsystem.tenantId);
      requireCapability(owned.subsystem, capability);
      const { connection } = owned.subsystem;
      try {
        const answer = await connection.mutate(method, { ...input, runId: owned.runId }, callOptions(caller));
        return { owned, answer };
      } catch (error) {
        throw mayHaveTakenEffect(error, text);
      }
    });
  }

  private newRunId({ principal }: Caller, owned: OwnedRun, runId: string): string {
    if (runId === '') return runId;
    this.owners.seen(owned.subsystem, runId);
    return shownId(owned, runId, this.owners.isAmbiguous(runId, principal));
  }
}
