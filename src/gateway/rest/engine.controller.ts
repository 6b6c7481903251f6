import { create } from '@bufbuild/protobuf';
import { Controller, Get, Inject, Param, UseInterceptors } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { Roles } from '../../auth/index.js';
import { ApiProblems } from '../../http/index.js';
import { CapabilitiesSchema } from '../gen/flowwatch/v1/types_pb.js';
import { GetTraceRequestSchema } from '../gen/flowwatch/v1/workflow_service_pb.js';
import type { Caller } from '../routing/caller.js';
import { RUN_OWNERS, type RunOwners } from '../routing/run-owners.js';
import { WorkflowAnswers } from '../workflows/workflow-answers.js';
import { toldBy } from './answer-view.js';
import { GatewayCaller } from './gateway-caller.js';
import { GatewayProblems } from './gateway-problems.js';
import { pathId } from './gateway-query.js';
import { GatewayTrace, traceView } from './trace-view.js';
import { GatewayCapabilities, capabilitiesView } from './workflow-view.js';

/** What all subsystems are as one engine: what they offer, and traces that run through several. */
@ApiTags('gateway')
@ApiProblems()
@UseInterceptors(GatewayProblems)
@Controller('gateway')
export class EngineController {
  constructor(
    private readonly workflows: WorkflowAnswers,
    @Inject(RUN_OWNERS) private readonly owners: RunOwners,
  ) {}

  @Get('capabilities')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show what FlowWatch subsystems offer, together and each' })
  @ApiOkResponse({ standardSchema: GatewayCapabilities })
  async capabilities(@GatewayCaller() caller: Caller): Promise<GatewayCapabilities> {
    const answer = await this.workflows.getCapabilities(caller);
    const each = this.workflows.capabilitiesBySubsystem(caller.principal);
    return {
      ...capabilitiesView(answer.value.capabilities ?? create(CapabilitiesSchema)),
      bySubsystem: each.map(({ subsystemId, capabilities }) => ({
        subsystemId,
        capabilities: capabilities ? capabilitiesView(capabilities) : null,
      })),
      ...toldBy(answer),
    };
  }

  @Get('traces/:id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show a trace: runs of all FlowWatch subsystems that belong together' })
  @ApiOkResponse({ standardSchema: GatewayTrace })
  async trace(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) traceId: string,
  ): Promise<GatewayTrace> {
    const answer = await this.workflows.getTrace(caller, create(GetTraceRequestSchema, { traceId }));
    const ownerOf = (runId: string): string | null => this.owners.knownOwner(caller.principal, runId)?.id ?? null;
    return { ...traceView(answer.value, ownerOf), ...toldBy(answer) };
  }
}
