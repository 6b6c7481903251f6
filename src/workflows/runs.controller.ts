import { Body, Controller, Get, HttpCode, Param, Post, Query, Req, Res } from '@nestjs/common';
import { ApiAcceptedResponse, ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { CurrentPrincipal, Roles } from '../auth/access.decorators.js';
import type { Principal } from '../auth/principal.js';
import { AppError } from '../errors/app-error.js';
import { ApiProblems } from '../http/api-problems.js';
import { Idempotent } from '../http/idempotency.js';
import { objectIdParam } from '../http/object-id.js';
import type { Page } from '../http/page.js';
import { ArchiveWorkflow, ArchiveWorkflowQuery, ListRunsQuery, RunAnswer, RunPage } from './run.dto.js';
import { RunsService } from './runs.service.js';
import type { Run } from './workflow.js';

const workflowId = objectIdParam('workflow');
const runId = objectIdParam('run');
const OptionalArchiveWorkflow = ArchiveWorkflow.optional();

@ApiTags('workflows')
@ApiProblems()
@Controller('workflows/:id')
export class RunsController {
  constructor(private readonly runs: RunsService) {}

  @Post('execute')
  @Roles('operator')
  @HttpCode(202)
  @Idempotent()
  @ApiOperation({
    summary: 'Execute a workflow',
    description:
      'Applies its objects in the order of the edges. The answer is the run that does so; `Location` has its address, ' +
      'and the stream of the workflow shows each of its steps. One run of a workflow is in progress at a time.',
  })
  @ApiAcceptedResponse({ standardSchema: RunAnswer })
  async execute(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: workflowId }) id: string,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Run> {
    return located(await this.runs.execute(principal, id), request, response);
  }

  @Post('archive')
  @Roles('operator')
  @HttpCode(202)
  @Idempotent()
  @ApiOperation({
    summary: 'Archive a workflow',
    description:
      'Ends the watching. With `resources: delete`, in the body or the query, what the workflow has created is deleted ' +
      'before, in reverse order; what it did not create is kept. The answer is the run that does so.',
  })
  @ApiBody({ schema: { $ref: '#/components/schemas/ArchiveWorkflow' }, required: false })
  @ApiAcceptedResponse({ standardSchema: RunAnswer })
  async archive(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: workflowId }) id: string,
    @Query({ schema: ArchiveWorkflowQuery }) query: z.infer<typeof ArchiveWorkflowQuery>,
    @Body({ schema: OptionalArchiveWorkflow }) body: z.infer<typeof OptionalArchiveWorkflow>,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<Run> {
    if (query.resources !== undefined && body !== undefined && query.resources !== body.resources) {
      throw AppError.invalid([{ path: 'resources', message: 'says one thing in the query and another in the body' }]);
    }
    const mode = query.resources ?? body?.resources ?? 'keep';
    return located(await this.runs.archive(principal, id, mode), request, response);
  }

  @Get('runs')
  @Roles('viewer')
  @ApiOperation({ summary: "List a workflow's runs", description: 'Newest first. The newest 50 are kept.' })
  @ApiOkResponse({ standardSchema: RunPage })
  list(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: workflowId }) id: string,
    @Query({ schema: ListRunsQuery }) query: z.infer<typeof ListRunsQuery>,
  ): Promise<Page<Run>> {
    return this.runs.list(principal, id, query);
  }

  @Get('runs/:runId')
  @Roles('viewer')
  @ApiOperation({ summary: 'Read a run', description: 'With what became of each node.' })
  @ApiOkResponse({ standardSchema: RunAnswer })
  get(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: workflowId }) id: string,
    @Param('runId', { schema: runId }) run: string,
  ): Promise<Run> {
    return this.runs.get(principal, id, run);
  }

  @Post('runs/:runId/cancel')
  @Roles('operator')
  @HttpCode(202)
  @ApiOperation({
    summary: 'Cancel a run',
    description: 'Nothing more begins. Nodes in progress come to their end; what was applied stays.',
  })
  @ApiAcceptedResponse({ standardSchema: RunAnswer })
  cancel(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: workflowId }) id: string,
    @Param('runId', { schema: runId }) run: string,
  ): Promise<Run> {
    return this.runs.cancel(principal, id, run);
  }
}

function located(run: Run, request: Request, response: Response): Run {
  const workflow = request.path.replace(/\/[^/]+\/?$/, '');
  response.location(`${workflow}/runs/${run.id}`);
  return run;
}
