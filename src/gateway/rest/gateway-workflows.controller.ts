import { create } from '@bufbuild/protobuf';
import { Controller, Get, Param, Query, UseInterceptors } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { z } from 'zod';
import { Roles } from '../../auth/index.js';
import { ApiProblems } from '../../http/index.js';
import { GraphSchema } from '../gen/flowwatch/v1/types_pb.js';
import {
  GetGraphRequestSchema,
  GetWorkflowRequestSchema,
  ListWorkflowsRequestSchema,
} from '../gen/flowwatch/v1/workflow_service_pb.js';
import type { Caller } from '../routing/caller.js';
import { nobodyHas } from '../routing/owner-error.js';
import { WorkflowOwners } from '../routing/workflow-owners.js';
import { WorkflowAnswers } from '../workflows/workflow-answers.js';
import { toldBy, totalOf } from './answer-view.js';
import { GatewayCaller } from './gateway-caller.js';
import { GatewayProblems } from './gateway-problems.js';
import { pathId } from './gateway-query.js';
import { textOf } from './wire-values.js';
import {
  GatewayGraph,
  GatewayWorkflowAnswer,
  GatewayWorkflowPage,
  ListGatewayWorkflowsQuery,
  graphView,
  workflowView,
} from './workflow-view.js';

@ApiTags('gateway')
@ApiProblems()
@UseInterceptors(GatewayProblems)
@Controller('gateway/workflows')
export class GatewayWorkflowsController {
  constructor(
    private readonly workflows: WorkflowAnswers,
    private readonly owners: WorkflowOwners,
  ) {}

  @Get()
  @Roles('viewer')
  @ApiOperation({
    summary: 'List workflows of all FlowWatch subsystems, by name',
    description: 'Subsystems that do not answer are named in `warnings`.',
  })
  @ApiOkResponse({ standardSchema: GatewayWorkflowPage })
  async list(
    @GatewayCaller() caller: Caller,
    @Query({ schema: ListGatewayWorkflowsQuery }) { limit, cursor = '' }: ListGatewayWorkflowsQuery,
  ): Promise<z.infer<typeof GatewayWorkflowPage>> {
    const request = create(ListWorkflowsRequestSchema, { pagination: { limit, cursor } });
    const answer = await this.workflows.listWorkflows(caller, request);
    const { workflows, pagination } = answer.value;
    return {
      items: workflows.map((workflow) => workflowView(workflow, this.ownerOf(caller, workflow.id))),
      nextCursor: textOf(pagination?.nextCursor ?? ''),
      totalCount: totalOf(pagination, workflows, answer),
      ...toldBy(answer),
    };
  }

  @Get(':id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show a workflow of a FlowWatch subsystem' })
  @ApiOkResponse({ standardSchema: GatewayWorkflowAnswer })
  async get(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) workflowId: string,
  ): Promise<z.infer<typeof GatewayWorkflowAnswer>> {
    const answer = await this.workflows.getWorkflow(caller, create(GetWorkflowRequestSchema, { workflowId }));
    const { workflow } = answer.value;
    if (!workflow) throw nobodyHas('workflow', workflowId, []);
    return { ...workflowView(workflow, this.ownerOf(caller, workflow.id)), ...toldBy(answer) };
  }

  @Get(':id/graph')
  @Roles('viewer')
  @ApiOperation({ summary: "Show a workflow's steps and what follows what" })
  @ApiOkResponse({ standardSchema: GatewayGraph })
  async graph(
    @GatewayCaller() caller: Caller,
    @Param('id', { schema: pathId }) workflowId: string,
  ): Promise<GatewayGraph> {
    const answer = await this.workflows.getGraph(caller, create(GetGraphRequestSchema, { workflowId }));
    const { graph = create(GraphSchema, { workflowId }) } = answer.value;
    return { ...graphView(graph), ...toldBy(answer) };
  }

  private ownerOf({ principal }: Caller, workflowId: string): string | null {
    return this.owners.knownOwner(principal, workflowId)?.id ?? null;
  }
}
