import { Controller, Get, Param, Query, Req, Res, UseFilters } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { CurrentPrincipal, CurrentTicket, Roles } from '../../auth/access.decorators.js';
import type { Principal } from '../../auth/principal.js';
import type { Ticket } from '../../auth/ticket-authority.js';
import { ApiProblems } from '../../http/api-problems.js';
import { objectIdParam } from '../../http/object-id.js';
import { ApiEventStream } from './api-event-stream.js';
import { SseBroadcaster } from './sse-broadcaster.js';
import { type StreamQuery, StreamRequests } from './stream-requests.js';
import { multiStreamQuery, streamQuery, streamStats } from './streams.dto.js';
import { StreamProblemFilter } from './streams.filter.js';

const TIMESTAMP = '2026-01-31T12:00:00.000Z';
const ID = '65b9f0c2a9b1d3e4f5061728';

/** The event streams. What can be refused is refused before the first byte, as a problem. */
@ApiTags('streams')
@ApiProblems()
@UseFilters(StreamProblemFilter)
@Controller('streams')
export class StreamsController {
  constructor(
    private readonly broadcaster: SseBroadcaster,
    private readonly requests: StreamRequests,
  ) {}

  @Roles('viewer', { orTicket: true })
  @Get()
  @ApiEventStream('Follow many things on one connection', 'those of each key', {
    type: 'run',
    streamKey: `run:${ID}`,
    eventType: 'run_update',
    timestamp: TIMESTAMP,
    data: { id: ID, state: 'succeeded', version: 7 },
  })
  many(
    @Query({ schema: multiStreamQuery }) query: z.infer<typeof multiStreamQuery>,
    @CurrentPrincipal() principal: Principal,
    @CurrentTicket() ticket: Ticket | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.requests.open(query.key, { query, principal, ticket, request, response });
  }

  @Roles('viewer', { orTicket: true })
  @Get('workflows/:id')
  @ApiEventStream('Follow a workflow: its resources and runs', '`node_update` (a resource), `run_update` (a run)', {
    type: 'workflow',
    streamKey: `workflow:${ID}`,
    eventType: 'node_update',
    timestamp: TIMESTAMP,
    data: { id: ID, nodeId: 'web', kind: 'Deployment', name: 'web', health: 'healthy', version: 7 },
  })
  workflow(
    @Param('id', { schema: objectIdParam('workflow') }) id: string,
    @Query({ schema: streamQuery }) query: StreamQuery,
    @CurrentPrincipal() principal: Principal,
    @CurrentTicket() ticket: Ticket | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.requests.open([`workflow:${id}`], { query, principal, ticket, request, response });
  }

  @Roles('viewer', { orTicket: true })
  @Get('resources/:id')
  @ApiEventStream('Follow one resource', '`status_update` (the resource)', {
    type: 'resource',
    streamKey: `resource:${ID}`,
    eventType: 'status_update',
    timestamp: TIMESTAMP,
    data: { id: ID, nodeId: 'web', kind: 'Deployment', name: 'web', health: 'healthy', version: 7 },
  })
  resource(
    @Param('id', { schema: objectIdParam('resource') }) id: string,
    @Query({ schema: streamQuery }) query: StreamQuery,
    @CurrentPrincipal() principal: Principal,
    @CurrentTicket() ticket: Ticket | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.requests.open([`resource:${id}`], { query, principal, ticket, request, response });
  }

  @Roles('viewer', { orTicket: true })
  @Get('clusters')
  @ApiEventStream('Follow the health of all clusters', '`cluster_health`', {
    type: 'clusters',
    streamKey: 'clusters',
    eventType: 'cluster_health',
    timestamp: TIMESTAMP,
    data: { clusterId: ID, reachable: true, latencyMs: 12, checkedAt: TIMESTAMP, reason: null, version: 'v1.36.0' },
  })
  clusters(
    @Query({ schema: streamQuery }) query: StreamQuery,
    @CurrentPrincipal() principal: Principal,
    @CurrentTicket() ticket: Ticket | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.requests.open(['clusters'], { query, principal, ticket, request, response });
  }

  @Roles('viewer', { orTicket: true })
  @Get('clusters/:id')
  @ApiEventStream('Follow the health of one cluster', '`cluster_health`', {
    type: 'cluster',
    streamKey: `cluster:${ID}`,
    eventType: 'cluster_health',
    timestamp: TIMESTAMP,
    data: { clusterId: ID, reachable: true, latencyMs: 12, checkedAt: TIMESTAMP, reason: null, version: 'v1.36.0' },
  })
  cluster(
    @Param('id', { schema: objectIdParam('cluster') }) id: string,
    @Query({ schema: streamQuery }) query: StreamQuery,
    @CurrentPrincipal() principal: Principal,
    @CurrentTicket() ticket: Ticket | undefined,
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.requests.open([`cluster:${id}`], { query, principal, ticket, request, response });
  }

  @Roles('viewer')
  @Get('stats')
  @ApiOperation({ summary: 'How many streams are open and what they carry' })
  @ApiOkResponse({ standardSchema: streamStats })
  stats(): z.infer<typeof streamStats> {
    return this.broadcaster.stats();
  }
}
