import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiNoContentResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { CurrentPrincipal, type Principal, Roles } from '../auth/index.js';
import { ApiProblems, type Page, type Removed, objectIdParam } from '../http/index.js';
import type { Agent } from './agent.js';
import {
  AgentAnswer,
  AgentPage,
  IssueAgentCredential,
  ListAgentsQuery,
  NewAgentCredentialAnswer,
  UpdateAgent,
} from './agents.dto.js';
import { AgentsService } from './agents.service.js';

const agentId = objectIdParam('agent');

@ApiTags('agents')
@ApiProblems()
@Controller('agents')
export class AgentsController {
  constructor(private readonly agents: AgentsService) {}

  @Get()
  @Roles('viewer')
  @ApiOperation({
    summary: 'List agents, newest first',
    description: 'Agents of the platform: for keys of all tenants.',
  })
  @ApiOkResponse({ standardSchema: AgentPage })
  list(
    @CurrentPrincipal() principal: Principal,
    @Query({ schema: ListAgentsQuery }) query: ListAgentsQuery,
  ): Promise<Page<Agent>> {
    return this.agents.list(principal, query);
  }

  @Get(':id')
  @Roles('viewer')
  @ApiOperation({ summary: 'Show an agent' })
  @ApiOkResponse({ standardSchema: AgentAnswer })
  get(@CurrentPrincipal() principal: Principal, @Param('id', { schema: agentId }) id: string): Promise<Agent> {
    return this.agents.get(principal, id);
  }

  @Patch(':id')
  @Roles('operator')
  @ApiOperation({
    summary: 'Drain, label or revoke an agent',
    description:
      '`{"version": 1, "schedulable": false}` drains it: it ends what it has and gets no more. `{"status": "revoked"}` ends its ' +
      'credentials; its jobs go to others at once.',
  })
  @ApiOkResponse({ standardSchema: AgentAnswer })
  update(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: agentId }) id: string,
    @Body({ schema: UpdateAgent }) body: UpdateAgent,
  ): Promise<Agent> {
    return this.agents.update(principal, id, body);
  }

  @Delete(':id')
  @HttpCode(204)
  @Roles('admin')
  @ApiOperation({
    summary: 'Remove an agent',
    description: 'Its jobs go to others at once; its next request gets 401.',
  })
  @ApiNoContentResponse({ description: 'It is gone.' })
  async remove(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: agentId }) id: string,
  ): Promise<Removed> {
    return this.agents.remove(principal, id);
  }

  // Not idempotent by key: the stored answer would hold the secret.
  @Post(':id/credentials')
  @Roles('admin', { orAgent: true })
  @ApiOperation({
    summary: 'Give an agent a new credential',
    description: 'By an admin, or by the agent itself. The former one holds for `graceMs`; two live at most.',
  })
  @ApiCreatedResponse({ standardSchema: NewAgentCredentialAnswer })
  issueCredential(
    @CurrentPrincipal() principal: Principal,
    @Param('id', { schema: agentId }) id: string,
    @Body({ schema: IssueAgentCredential }) body: IssueAgentCredential,
    @Res({ passthrough: true }) response: Response,
  ): Promise<NewAgentCredentialAnswer> {
    response.set('Cache-Control', 'no-store');
    return this.agents.issueCredential(principal, id, body);
  }
}
