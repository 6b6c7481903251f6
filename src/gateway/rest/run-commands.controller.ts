import { create } from '@bufbuild/protobuf';
import { Body, Controller, HttpCode, Param, Post, UseInterceptors } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { Roles } from '../../auth/index.js';
import { ApiProblems, Idempotent } from '../../http/index.js';
import {
  BulkCancelRequestSchema,
  BulkRetryRequestSchema,
  type BulkActionResult,
  CancelRunRequestSchema,
  PauseRunRequestSchema,
  ResumeRunRequestSchema,
  RetryFromStepRequestSchema,
  RetryRunRequestSchema,
  SkipStepRequestSchema,
} from '../gen/flowwatch/v1/run_service_pb.js';
import type { Answer } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';
import { RunAnswers } from '../runs/run-answers.js';
import { toldBy } from './answer-view.js';
import { GatewayCaller } from './gateway-caller.js';
import { GatewayProblems } from './gateway-problems.js';
import { noBody, pathId } from './gateway-query.js';
import {
  CancelGatewayRuns,
  GatewayBulkAnswer,
  GatewayRunCommand,
  OptionalCancelGatewayRun,
  RetryGatewayRunFromStep,
  RetryGatewayRuns,
  SkipGatewayRunStep,
} from './run-commands.dto.js';
import { textOf } from './wire-values.js';

/** What is done to runs: by the subsystem that has them, once. */
@ApiTags('gateway')
@ApiProblems()
// In this order: what keeps the answers has to see the problems that the other makes.
@UseInterceptors(GatewayProblems)
@Idempotent()
@Controller('gateway/runs')
export class RunCommandsController {
  constructor(private readonly runs: RunAnswers) {}

  @Post('bulk-retry')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({
    summary: 'Run up to 100 runs again',
    description: 'Each by itself: the answer says what came of each.',
  })
  @ApiOkResponse({ standardSchema: GatewayBulkAnswer })
  async bulkRetry(
    @GatewayCaller() caller: Caller,
    @Body({ schema: RetryGatewayRuns }) { runIds }: RetryGatewayRuns,
  ): Promise<GatewayBulkAnswer> {
    return bulkView(await this.runs.bulkRetry(caller, create(BulkRetryRequestSchema, { runIds })));
  }

  @Post('bulk-cancel')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({ summary: 'Cancel up to 100 runs', description: 'Each by itself: the answer says what came of each.' })
  @ApiOkResponse({ standardSchema: GatewayBulkAnswer })
  async bulkCancel(
    @GatewayCaller() caller: Caller,
    @Body({ schema: CancelGatewayRuns }) { runIds, reason }: CancelGatewayRuns,
  ): Promise<GatewayBulkAnswer> {
    return bulkView(await this.runs.bulkCancel(caller, create(BulkCancelRequestSchema, { runIds, reason })));
  }

  @Post(':id/retry')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({ summary: 'Run a run again' })
  @ApiBody({ schema: { $ref: '#/components/schemas/NoFields' }, required: false })
  @ApiOkResponse({ standardSchema: GatewayRunCommand })
  async retry(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
    @Body({ schema: noBody }) _none: z.infer<typeof noBody>,
  ): Promise<GatewayRunCommand> {
    const answer = await this.runs.retryRun(caller, create(RetryRunRequestSchema, { runId }));
    return commandView(runId, answer, answer.value.newRunId);
  }

  @Post(':id/retry-from-step')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({ summary: 'Run a run again from one of its steps' })
  @ApiOkResponse({ standardSchema: GatewayRunCommand })
  async retryFromStep(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
    @Body({ schema: RetryGatewayRunFromStep }) { stepName }: RetryGatewayRunFromStep,
  ): Promise<GatewayRunCommand> {
    const answer = await this.runs.retryFromStep(caller, create(RetryFromStepRequestSchema, { runId, stepName }));
    return commandView(runId, answer, answer.value.newRunId);
  }

  @Post(':id/cancel')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({ summary: 'Cancel a run' })
  @ApiBody({ schema: { $ref: '#/components/schemas/CancelGatewayRun' }, required: false })
  @ApiOkResponse({ standardSchema: GatewayRunCommand })
  async cancel(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
    @Body({ schema: OptionalCancelGatewayRun }) body: z.infer<typeof OptionalCancelGatewayRun>,
  ): Promise<GatewayRunCommand> {
    const request = create(CancelRunRequestSchema, { runId, reason: body?.reason ?? '' });
    return commandView(runId, await this.runs.cancelRun(caller, request));
  }

  @Post(':id/pause')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({ summary: 'Pause a run' })
  @ApiBody({ schema: { $ref: '#/components/schemas/NoFields' }, required: false })
  @ApiOkResponse({ standardSchema: GatewayRunCommand })
  async pause(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
    @Body({ schema: noBody }) _none: z.infer<typeof noBody>,
  ): Promise<GatewayRunCommand> {
    return commandView(runId, await this.runs.pauseRun(caller, create(PauseRunRequestSchema, { runId })));
  }

  @Post(':id/resume')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({ summary: 'Resume a paused run' })
  @ApiBody({ schema: { $ref: '#/components/schemas/NoFields' }, required: false })
  @ApiOkResponse({ standardSchema: GatewayRunCommand })
  async resume(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
    @Body({ schema: noBody }) _none: z.infer<typeof noBody>,
  ): Promise<GatewayRunCommand> {
    return commandView(runId, await this.runs.resumeRun(caller, create(ResumeRunRequestSchema, { runId })));
  }

  @Post(':id/skip-step')
  @HttpCode(200)
  @Roles('operator')
  @ApiOperation({ summary: 'Skip a step of a run' })
  @ApiOkResponse({ standardSchema: GatewayRunCommand })
  async skipStep(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
    @Body({ schema: SkipGatewayRunStep }) { stepName, reason }: SkipGatewayRunStep,
  ): Promise<GatewayRunCommand> {
    const request = create(SkipStepRequestSchema, { runId, stepName, reason });
    return commandView(runId, await this.runs.skipStep(caller, request));
  }
}

function commandView(runId: string, answer: Answer<unknown>, newRunId = ''): GatewayRunCommand {
  return { runId, newRunId: textOf(newRunId), ...toldBy(answer) };
}

function bulkView(answer: Answer<{ readonly results: readonly BulkActionResult[] }>): GatewayBulkAnswer {
  const items = answer.value.results.map(({ runId, success, error, newRunId }) => ({
    runId,
    success,
    error: textOf(error),
    newRunId: textOf(newRunId),
  }));
  return { items, ...toldBy(answer) };
}
