import { Injectable } from '@nestjs/common';
import type { UndecodedGetRunResponse, UndecodedListRunsResponse } from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import type {
  BulkCancelRequest,
  BulkCancelResponse,
  BulkRetryRequest,
  BulkRetryResponse,
  CancelRunRequest,
  CancelRunResponse,
  GetRunLogsRequest,
  GetRunLogsResponse,
  GetRunRequest,
  GetRunResponse,
  GetRunStepsRequest,
  GetRunStepsResponse,
  GetRunTimelineRequest,
  GetRunTimelineResponse,
  ListRunsRequest,
  ListRunsResponse,
  PauseRunRequest,
  PauseRunResponse,
  ResumeRunRequest,
  ResumeRunResponse,
  RetryFromStepRequest,
  RetryFromStepResponse,
  RetryRunRequest,
  RetryRunResponse,
  RunService,
  SkipStepRequest,
  SkipStepResponse,
} from '../gen/flowwatch/v1/run_service_pb.js';
import type { Answer, Answers } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';
import { BulkRuns } from './bulk-runs.js';
import { RunCommands } from './run-commands.js';
import { RunList } from './run-list.js';
import { RunReads } from './run-reads.js';

/** Answers `RunService` for all subsystems as one engine. The `…Undecoded` ones leave runs as they came. */
@Injectable()
export class RunAnswers implements Answers<typeof RunService> {
  constructor(
    private readonly list: RunList,
    private readonly reads: RunReads,
    private readonly commands: RunCommands,
    private readonly bulk: BulkRuns,
  ) {}

  listRuns(caller: Caller, request: ListRunsRequest): Promise<Answer<ListRunsResponse>> {
    return this.list.listRuns(caller, request);
  }

  listRunsUndecoded(caller: Caller, request: ListRunsRequest): Promise<Answer<UndecodedListRunsResponse>> {
    return this.list.listRunsUndecoded(caller, request);
  }

  getRun(caller: Caller, request: GetRunRequest): Promise<Answer<GetRunResponse>> {
    return this.reads.getRun(caller, request);
  }

  getRunUndecoded(caller: Caller, request: GetRunRequest): Promise<Answer<UndecodedGetRunResponse>> {
    return this.reads.getRunUndecoded(caller, request);
  }

  getRunSteps(caller: Caller, request: GetRunStepsRequest): Promise<Answer<GetRunStepsResponse>> {
    return this.reads.getRunSteps(caller, request);
  }

  getRunTimeline(caller: Caller, request: GetRunTimelineRequest): Promise<Answer<GetRunTimelineResponse>> {
    return this.reads.getRunTimeline(caller, request);
  }

  getRunLogs(caller: Caller, request: GetRunLogsRequest): Promise<Answer<GetRunLogsResponse>> {
    return this.reads.getRunLogs(caller, request);
  }

  retryRun(caller: Caller, request: RetryRunRequest): Promise<Answer<RetryRunResponse>> {
    return this.commands.retryRun(caller, request);
  }

  retryFromStep(caller: Caller, request: RetryFromStepRequest): Promise<Answer<RetryFromStepResponse>> {
    return this.commands.retryFromStep(caller, request);
  }

  cancelRun(caller: Caller, request: CancelRunRequest): Promise<Answer<CancelRunResponse>> {
    return this.commands.cancelRun(caller, request);
  }

  pauseRun(caller: Caller, request: PauseRunRequest): Promise<Answer<PauseRunResponse>> {
    return this.commands.pauseRun(caller, request);
  }

  resumeRun(caller: Caller, request: ResumeRunRequest): Promise<Answer<ResumeRunResponse>> {
    return this.commands.resumeRun(caller, request);
  }

  skipStep(caller: Caller, request: SkipStepRequest): Promise<Answer<SkipStepResponse>> {
    return this.commands.skipStep(caller, request);
  }

  bulkRetry(caller: Caller, request: BulkRetryRequest): Promise<Answer<BulkRetryResponse>> {
    return this.bulk.bulkRetry(caller, request);
  }

  bulkCancel(caller: Caller, request: BulkCancelRequest): Promise<Answer<BulkCancelResponse>> {
    return this.bulk.bulkCancel(caller, request);
  }
}
