import { create } from '@bufbuild/protobuf';
import { Controller, Get, Query, UseInterceptors } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Roles } from '../../auth/index.js';
import { ApiProblems } from '../../http/index.js';
import { AnalyticsAnswers } from '../analytics/analytics-answers.js';
import {
  type AnalyticsFilter,
  AnalyticsFilterSchema,
  GetFailureRateRequestSchema,
  GetLatencyRequestSchema,
  GetStepDurationRequestSchema,
  GetStepHeatmapRequestSchema,
  GetThroughputRequestSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import type { Caller } from '../routing/caller.js';
import {
  GatewayAnalyticsQuery,
  GatewayFailureRate,
  GatewayLatency,
  GatewayStepDuration,
  GatewayStepDurationQuery,
  GatewayStepHeatmap,
  GatewayThroughput,
  failureRateView,
  latencyView,
  stepDurationView,
  stepHeatmapView,
  throughputView,
} from './analytics-view.js';
import { toldBy } from './answer-view.js';
import { GatewayCaller } from './gateway-caller.js';
import { GatewayProblems } from './gateway-problems.js';
import { timeRangeOf } from './wire-values.js';

/** Figures over the runs of all subsystems that offer them; `approximate` where they could not be merged exactly. */
@ApiTags('gateway')
@ApiProblems()
@UseInterceptors(GatewayProblems)
@Controller('gateway/analytics')
export class AnalyticsController {
  constructor(private readonly analytics: AnalyticsAnswers) {}

  @Get('throughput')
  @Roles('viewer')
  @ApiOperation({ summary: 'Count runs by time and status' })
  @ApiOkResponse({ standardSchema: GatewayThroughput })
  async throughput(
    @GatewayCaller() caller: Caller,
    @Query({ schema: GatewayAnalyticsQuery }) query: GatewayAnalyticsQuery,
  ): Promise<GatewayThroughput> {
    const request = create(GetThroughputRequestSchema, { filter: filterOf(query) });
    const answer = await this.analytics.getThroughput(caller, request);
    return { ...throughputView(answer.value), ...toldBy(answer) };
  }

  @Get('latency')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show how long runs took, by time' })
  @ApiOkResponse({ standardSchema: GatewayLatency })
  async latency(
    @GatewayCaller() caller: Caller,
    @Query({ schema: GatewayAnalyticsQuery }) query: GatewayAnalyticsQuery,
  ): Promise<GatewayLatency> {
    const request = create(GetLatencyRequestSchema, { filter: filterOf(query) });
    const answer = await this.analytics.getLatency(caller, request);
    return { ...latencyView(answer.value), ...toldBy(answer) };
  }

  @Get('failure-rate')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show how many runs failed, by time' })
  @ApiOkResponse({ standardSchema: GatewayFailureRate })
  async failureRate(
    @GatewayCaller() caller: Caller,
    @Query({ schema: GatewayAnalyticsQuery }) query: GatewayAnalyticsQuery,
  ): Promise<GatewayFailureRate> {
    const request = create(GetFailureRateRequestSchema, { filter: filterOf(query) });
    const answer = await this.analytics.getFailureRate(caller, request);
    return { ...failureRateView(answer.value), ...toldBy(answer) };
  }

  @Get('step-duration')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show how long steps waited and took' })
  @ApiOkResponse({ standardSchema: GatewayStepDuration })
  async stepDuration(
    @GatewayCaller() caller: Caller,
    @Query({ schema: GatewayStepDurationQuery }) { workflowId = '', ...range }: GatewayStepDurationQuery,
  ): Promise<GatewayStepDuration> {
    const request = create(GetStepDurationRequestSchema, { workflowId, ...timeRangeOf(range) });
    const answer = await this.analytics.getStepDuration(caller, request);
    return { ...stepDurationView(answer.value), ...toldBy(answer) };
  }

  @Get('step-heatmap')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show which steps failed when' })
  @ApiOkResponse({ standardSchema: GatewayStepHeatmap })
  async stepHeatmap(
    @GatewayCaller() caller: Caller,
    @Query({ schema: GatewayAnalyticsQuery }) query: GatewayAnalyticsQuery,
  ): Promise<GatewayStepHeatmap> {
    const request = create(GetStepHeatmapRequestSchema, { filter: filterOf(query) });
    const answer = await this.analytics.getStepHeatmap(caller, request);
    return { ...stepHeatmapView(answer.value), ...toldBy(answer) };
  }
}

function filterOf(query: GatewayAnalyticsQuery): AnalyticsFilter {
  const { workflowId = '', subsystemId = '', granularity = '' } = query;
  return create(AnalyticsFilterSchema, { workflowId, subsystemId, granularity, ...timeRangeOf(query) });
}
