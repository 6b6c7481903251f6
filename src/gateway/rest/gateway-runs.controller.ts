import { create } from '@bufbuild/protobuf';
import { Controller, Get, Inject, Param, Query, UseInterceptors } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { Roles } from '../../auth/index.js';
import { ApiProblems } from '../../http/index.js';
import {
  GetRunLogsRequestSchema,
  GetRunRequestSchema,
  GetRunStepsRequestSchema,
  GetRunTimelineRequestSchema,
  type ListRunsRequest,
  ListRunsRequestSchema,
} from '../gen/flowwatch/v1/run_service_pb.js';
import { LogLevelSchema, RunStatusSchema } from '../gen/flowwatch/v1/types_pb.js';
import type { Caller } from '../routing/caller.js';
import { nobodyHas } from '../routing/owner-error.js';
import { RUN_OWNERS, type RunOwners } from '../routing/run-owners.js';
import { RunAnswers } from '../runs/run-answers.js';
import { toldBy, totalOf } from './answer-view.js';
import { GatewayCaller } from './gateway-caller.js';
import { GatewayProblems } from './gateway-problems.js';
import { pathId } from './gateway-query.js';
import {
  GatewayLogPage,
  GatewayRunAnswer,
  GatewayRunPage,
  GatewayStepPage,
  GatewayTimeline,
  logView,
  runView,
  stepView,
  timelineView,
} from './run-view.js';
import { ListGatewayLogsQuery, ListGatewayRunsQuery, RUN_ORDERS } from './runs.dto.js';
import { textOf, timeRangeOf } from './wire-values.js';
import { valueOfWord } from './wire-words.js';

@ApiTags('gateway')
@ApiProblems()
@UseInterceptors(GatewayProblems)
@Controller('gateway/runs')
export class GatewayRunsController {
  constructor(
    private readonly runs: RunAnswers,
    @Inject(RUN_OWNERS) private readonly owners: RunOwners,
  ) {}

  @Get()
  @Roles('viewer')
  @ApiOperation({
    summary: 'List runs of all FlowWatch subsystems',
    description: 'Newest first, unless ordered otherwise. Subsystems that do not answer are named in `warnings`.',
  })
  @ApiOkResponse({ standardSchema: GatewayRunPage })
  async list(
    @GatewayCaller() caller: Caller,
    @Query({ schema: ListGatewayRunsQuery }) query: ListGatewayRunsQuery,
  ): Promise<z.infer<typeof GatewayRunPage>> {
    const answer = await this.runs.listRuns(caller, listRequest(query));
    const { runs, pagination } = answer.value;
    return {
      items: runs.map((run) => runView(run, this.ownerOf(caller, run.id))),
      nextCursor: textOf(pagination?.nextCursor ?? ''),
      totalCount: totalOf(pagination, runs, answer),
      ...toldBy(answer),
    };
  }

  @Get(':id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show a run' })
  @ApiOkResponse({ standardSchema: GatewayRunAnswer })
  async get(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
  ): Promise<z.infer<typeof GatewayRunAnswer>> {
    const answer = await this.runs.getRun(caller, create(GetRunRequestSchema, { runId }));
    const { run } = answer.value;
    if (!run) throw nobodyHas('run', runId, []);
    return { ...runView(run, this.ownerOf(caller, run.id)), ...toldBy(answer) };
  }

  @Get(':id/steps')
  @Roles('viewer')
  @ApiOperation({ summary: "List a run's steps" })
  @ApiOkResponse({ standardSchema: GatewayStepPage })
  async steps(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
  ): Promise<z.infer<typeof GatewayStepPage>> {
    const answer = await this.runs.getRunSteps(caller, create(GetRunStepsRequestSchema, { runId }));
    return { items: answer.value.steps.map(stepView), nextCursor: null, ...toldBy(answer) };
  }

  @Get(':id/timeline')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show when the steps of a run ran' })
  @ApiOkResponse({ standardSchema: GatewayTimeline })
  async timeline(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
  ): Promise<GatewayTimeline> {
    const answer = await this.runs.getRunTimeline(caller, create(GetRunTimelineRequestSchema, { runId }));
    return { ...timelineView(answer.value), ...toldBy(answer) };
  }

  @Get(':id/logs')
  @Roles('viewer')
  @ApiOperation({ summary: "List a run's log lines", description: 'In the order of the subsystem.' })
  @ApiOkResponse({ standardSchema: GatewayLogPage })
  async logs(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) runId: string,
    @Query({ schema: ListGatewayLogsQuery }) { limit, cursor = '', stepName = '', level = [] }: ListGatewayLogsQuery,
  ): Promise<z.infer<typeof GatewayLogPage>> {
    const request = create(GetRunLogsRequestSchema, {
      runId,
      stepName,
      levels: level.map((word) => valueOfWord(LogLevelSchema, word)),
      pagination: { limit, cursor },
    });
    const answer = await this.runs.getRunLogs(caller, request);
    const { logs, pagination } = answer.value;
    return {
      items: logs.map(logView),
      nextCursor: textOf(pagination?.nextCursor ?? ''),
      totalCount: totalOf(pagination, logs, answer),
      ...toldBy(answer),
    };
  }

  private ownerOf({ principal }: Caller, runId: string): string | null {
    return this.owners.knownOwner(principal, runId)?.id ?? null;
  }
}

function listRequest(query: ListGatewayRunsQuery): ListRunsRequest {
  const pairs = (query.metadata ?? []).map((pair): [string, string] => {
    const at = pair.indexOf('=');
    return [pair.slice(0, at), pair.slice(at + 1)];
  });
  return create(ListRunsRequestSchema, {
    filter: {
      workflowIds: query.workflowId ?? [],
      statuses: (query.status ?? []).map((word) => valueOfWord(RunStatusSchema, word)),
      subsystemIds: query.subsystemId ?? [],
      traceId: query.traceId ?? '',
      foreignId: query.foreignId ?? '',
      metadataMatch: Object.fromEntries(pairs),
      ...timeRangeOf(query),
    },
    pagination: { limit: query.limit, cursor: query.cursor ?? '' },
    orderBy: RUN_ORDERS[query.orderBy],
    descending: query.descending,
  });
}
