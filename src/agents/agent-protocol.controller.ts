import { Body, Controller, HttpCode, Post, Req, Res } from '@nestjs/common';
import { ApiCreatedResponse, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { AgentRoute, CurrentPrincipal, FailedLogins, type Principal, Public } from '../auth/index.js';
import { ApiProblems } from '../http/index.js';
import { AgentHeartbeats } from './agent-heartbeats.js';
import { Heartbeat, HeartbeatAnswer, RegisterAgent, RegisteredAgentAnswer } from './agent-protocol.dto.js';
import { AgentRegistration, type RegisteredAgent } from './agent-registration.js';
import { RefusedRegistrations } from './bootstrap/refused-registrations.js';
import { TokenRefused } from './bootstrap/token-refused.js';

/** What agents themselves call, besides the routes of jobs. */
@ApiTags('agents')
@ApiProblems()
@Controller('agents')
export class AgentProtocolController {
  constructor(
    private readonly registration: AgentRegistration,
    private readonly heartbeats: AgentHeartbeats,
    private readonly refusals: RefusedRegistrations,
    private readonly failedLogins: FailedLogins,
  ) {}

  @Post('register')
  @Public()
  @ApiOperation({
    summary: 'Register an agent with a bootstrap token',
    description: 'Needs no other credential. 401: the token is unknown, expired, revoked or spent.',
  })
  @ApiCreatedResponse({ standardSchema: RegisteredAgentAnswer })
  async register(
    @Body({ schema: RegisterAgent }) body: RegisterAgent,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RegisteredAgent> {
    const address = request.socket.remoteAddress ?? '';
    this.failedLogins.requireUnblocked(address);
    try {
      const registered = await this.registration.register(body);
      response.location(`/api/v1/agents/${registered.agent.id}`).set('Cache-Control', 'no-store');
      return registered;
    } catch (error) {
      if (error instanceof TokenRefused) {
        this.refusals.note(error);
        if (error.kind === 'unknown') this.failedLogins.record(address);
      }
      throw error;
    }
  }

  @Post('heartbeat')
  @HttpCode(200)
  @AgentRoute()
  @ApiOperation({
    summary: 'Tell that the agent is alive',
    description: "With an agent's credential. Renews the leases of its jobs and tells which are lost or to be stopped.",
  })
  @ApiOkResponse({ standardSchema: HeartbeatAnswer })
  beat(
    @CurrentPrincipal() principal: Principal,
    @Body({ schema: Heartbeat }) body: Heartbeat,
  ): Promise<HeartbeatAnswer> {
    return this.heartbeats.beat(principal, body);
  }
}
