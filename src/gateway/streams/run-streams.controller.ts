import { Controller, Get, Query, Req, Res, UseFilters } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { CurrentPrincipal, CurrentTicket, type Principal, Roles, type Ticket } from '../../auth/index.js';
import { ApiProblems } from '../../http/index.js';
import { ApiEventStream, StreamProblemFilter, StreamRequests } from '../../realtime/index.js';
import { runStreamKey } from './run-stream-key.js';
import { RunStreamQuery } from './run-streams.dto.js';

const CHANGES =
  '`gateway_run_update` (a run, as `GET /gateway/runs/{id}` shows it), `gateway_subsystem_update` (`{subsystemId, state, ' +
  'reason}`: whether its runs come `live`, are `polled`, or are `missing` for that reason, or it was `removed`, and its ' +
  'runs with it). The snapshot has the 1000 runs that changed last';

/** The runs of all FlowWatch subsystems as an event stream. */
@ApiTags('gateway')
@ApiProblems()
@UseFilters(StreamProblemFilter)
@Controller('gateway/streams')
export class RunStreamsController {
  constructor(private readonly requests: StreamRequests) {}

  @Roles('viewer', { orTicket: true })
  @Get('runs')
  @ApiEventStream('Follow the runs of FlowWatch subsystems', CHANGES, {
    type: 'gateway-runs',
    streamKey: 'gateway-runs:status=running',
    eventType: 'gateway_run_update',
    timestamp: '2026-01-31T12:00:00.000Z',
    data: { id: 'order-7', workflowId: 'checkout', subsystemId: 'billing', status: 'running' },
  })
  runs(
    @Query({ schema: RunStreamQuery }) { workflowId, status, subsystemId, ...query }: RunStreamQuery,
    @CurrentPrincipal() principal: Principal,
    @CurrentTicket() ticket: Ticket | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    const keys = [runStreamKey({ workflowId, status, subsystemId })];
    return this.requests.open(keys, { query, principal, ticket, request, response });
  }
}
