import { Controller, Get, Inject, Param, Query, Req, Res, UseFilters } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { CurrentPrincipal, CurrentTicket, Roles } from '../../auth/access.decorators.js';
import type { Principal } from '../../auth/principal.js';
import type { Ticket } from '../../auth/ticket-authority.js';
import { AppError } from '../../errors/app-error.js';
import { ApiProblems } from '../../http/api-problems.js';
import { objectIdParam } from '../../http/object-id.js';
import { Readiness } from '../../lifecycle/readiness.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { StreamTicketsService } from '../tickets/stream-tickets.service.js';
import { TicketStreams } from '../tickets/ticket-streams.js';
import { ApiEventStream } from './api-event-stream.js';
import { SseBroadcaster } from './sse-broadcaster.js';
import { MAX_EVENT_ID, multiStreamQuery, streamQuery, streamStats } from './streams.dto.js';
import { StreamProblemFilter } from './streams.filter.js';

type StreamQuery = z.infer<typeof streamQuery>;

/** What a stream is asked for with. */
interface StreamRequest {
  readonly query: StreamQuery;
  readonly principal: Principal;
  readonly ticket: Ticket | undefined;
  readonly request: Request;
  readonly response: Response;
}

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
    private readonly readiness: Readiness,
    private readonly tickets: StreamTicketsService,
    private readonly ticketStreams: TicketStreams,
    @Inject(CLOCK) private readonly clock: Clock,
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
    return this.stream(query.key, { query, principal, ticket, request, response });
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
    return this.stream([`workflow:${id}`], { query, principal, ticket, request, response });
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
    return this.stream([`resource:${id}`], { query, principal, ticket, request, response });
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
    return this.stream(['clusters'], { query, principal, ticket, request, response });
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
    return this.stream([`cluster:${id}`], { query, principal, ticket, request, response });
  }

  @Roles('viewer')
  @Get('stats')
  @ApiOperation({ summary: 'How many streams are open and what they carry' })
  @ApiOkResponse({ standardSchema: streamStats })
  stats(): z.infer<typeof streamStats> {
    return this.broadcaster.stats();
  }

  private async stream(streamKeys: readonly string[] | undefined, asked: StreamRequest): Promise<void> {
    const { query, principal, ticket, request, response } = asked;
    if (request.accepts('text/event-stream') === false) {
      throw new AppError('request.not_acceptable', 'this is an event stream; send "Accept: text/event-stream"');
    }
    // The header of a client that comes back is newer than what its address says.
    const lastEventId = request.get('last-event-id')?.slice(0, MAX_EVENT_ID) || query.lastEventId;
    const keys = ticket ? this.tickets.admit(ticket, streamKeys, lastEventId) : (streamKeys ?? []);
    if (this.readiness.state === 'draining') {
      // What it is told is its first event: it may come back when the service does.
      if (ticket && request.method !== 'HEAD') await this.ticketStreams.markUsed(ticket);
      this.broadcaster.refuse(response, 'shutdown');
      return;
    }
    // One that comes back must not lose all of its keys because the thing behind one of them was removed meanwhile.
    const topics = await this.broadcaster.authorize(principal, keys, { dropGone: lastEventId !== undefined });
    const durationMs = this.durationMs(query, ticket);
    const options = {
      ...(durationMs === undefined ? {} : { durationMs }),
      ...(lastEventId === undefined ? {} : { lastEventId }),
    };
    // A HEAD uses no ticket up and takes no stream over.
    if (!ticket || request.method === 'HEAD') {
      this.broadcaster.open(response, principal, topics, options);
      return;
    }
    const stream = this.ticketStreams.begin(ticket, () => response.destroy());
    try {
      this.broadcaster.open(response, principal, topics, { ...options, connection: ticket.id, ...stream });
      // It can come back by what it has, and its first event may be long in coming.
      if (lastEventId !== undefined) stream.onStarted();
    } catch (error) {
      stream.onClosed();
      throw error;
    }
  }

  /** A ticket's stream ends with it. */
  private durationMs(query: StreamQuery, ticket: Ticket | undefined): number | undefined {
    const asked = query.duration;
    if (!ticket) return asked;
    const left = Math.max(0, ticket.resumableUntil.getTime() - this.clock.now());
    return Math.min(asked ?? left, left);
  }
}
