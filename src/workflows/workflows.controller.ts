import { Body, Controller, Delete, Get, HttpCode, Param, Post, Put, Query, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiTags,
} from '@nestjs/swagger';
import type { Response } from 'express';
import type { z } from 'zod';
import { CurrentPrincipal, Roles } from '../auth/access.decorators.js';
import type { Principal } from '../auth/principal.js';
import { ApiProblems } from '../http/api-problems.js';
import { Idempotent } from '../http/idempotency.js';
import { objectIdParam } from '../http/object-id.js';
import type { Page } from '../http/page.js';
import type { Removed } from '../http/removed.js';
import { CreateWorkflowBody, readCreateRequest } from './create-workflow-request.js';
import { WorkflowAnswer, WorkflowPage } from './workflow-answer.dto.js';
import { CreateWorkflowQuery, DeleteWorkflowQuery, ListWorkflowsQuery, ReplaceWorkflow } from './workflow.dto.js';
import type { Workflow, WorkflowSummary } from './workflow.js';
import { WorkflowsService } from './workflows.service.js';

const workflowId = objectIdParam('workflow');

@ApiTags('workflows')
@ApiProblems()
@Controller('workflows')
export class WorkflowsController {
  constructor(private readonly workflows: WorkflowsService) {}

  @Post()
  @Roles('operator')
  @Idempotent()
  @ApiOperation({
    summary: 'Create a workflow',
    description:
      'From JSON, or from manifests as multi-document YAML with `?name=…&clusterId=…&namespace=…`: one node for each ' +
      'object, called `<kind>-<name>`, without edges. Nothing is applied before it is executed.',
  })
  @ApiConsumes('application/json', 'application/yaml')
  @ApiBody({
    schema: { $ref: '#/components/schemas/CreateWorkflow' },
  })
  @ApiCreatedResponse({ standardSchema: WorkflowAnswer })
  async create(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: CreateWorkflowQuery }) query: z.infer<typeof CreateWorkflowQuery>,
    @Body({ schema: CreateWorkflowBody }) body: z.infer<typeof CreateWorkflowBody>,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Workflow> {
    const given = readCreateRequest(body, query);
    const workflow =
      given.format === 'yaml'
        ? await this.workflows.createFromYaml(principal, given.text, given.query)
        : await this.workflows.create(principal, given.workflow);
    response.location(`/api/v1/workflows/${workflow.id}`);
    return workflow;
  }

  @Get()
  @Roles('viewer')
  @ApiOperation({
    summary: 'List workflows',
    description: 'Newest first, with health and last run, without manifests.',
  })
  @ApiOkResponse({ standardSchema: WorkflowPage })
  list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListWorkflowsQuery }) query: z.infer<typeof ListWorkflowsQuery>,
  ): Promise<Page<WorkflowSummary>> {
    return this.workflows.list(principal, query);
  }

  @Get(':id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Read a workflow', description: 'Values of Secrets are shown as "[sealed]".' })
  @ApiOkResponse({ standardSchema: WorkflowAnswer })
  get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: workflowId }) id: string): Promise<Workflow> {
    return this.workflows.get(principal, id);
  }

  @Put(':id')
  @Roles('operator')
  @ApiOperation({
    summary: 'Replace a workflow',
    description:
      'Nothing is applied before the next execution. A node that is left out keeps its object until it is archived.',
  })
  @ApiOkResponse({ standardSchema: WorkflowAnswer })
  replace(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: workflowId }) id: string,
    @Body({ schema: ReplaceWorkflow }) body: z.infer<typeof ReplaceWorkflow>,
  ): Promise<Workflow> {
    return this.workflows.replace(principal, id, body);
  }

  @Delete(':id')
  @Roles('operator')
  @HttpCode(204)
  @ApiOperation({
    summary: 'Delete a workflow',
    description:
      'With its runs and resources. Refused while it has objects in the cluster, unless `resources=abandon`.',
  })
  @ApiNoContentResponse()
  remove(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: workflowId }) id: string,
    @Query({ schema: DeleteWorkflowQuery }) query: z.infer<typeof DeleteWorkflowQuery>,
  ): Promise<Removed> {
    return this.workflows.remove(principal, id, { abandon: query.resources === 'abandon' });
  }
}
