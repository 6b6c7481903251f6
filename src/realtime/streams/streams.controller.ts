import { Controller, Get, Logger, Param, Query, Req, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import { CurrentPrincipal, Roles } from '../../auth/access.decorators.js';
import type { Principal } from '../../auth/principal.js';
import { duration } from '../../config/setting-types.js';
import { AppError } from '../../errors/app-error.js';
import { ApiProblems } from '../../http/api-problems.js';
import { objectIdParam } from '../../http/object-id.js';
import { Readiness } from '../../lifecycle/readiness.js';
import { ApiEventStream } from './api-event-stream.js';
import { SseBroadcaster } from './sse-broadcaster.js';
import type { ResolvedTopic } from './stream-topics.js';
import { streamQuery, streamStats } from './streams.dto.js';

type StreamQuery = z.infer<typeof streamQuery>;

const TIMESTAMP = '2026-01-31T12:00:00.000Z';
const ID = '65b9f0c2a9b1d3e4f5061728';

/** The event streams. What can be refused is refused before the first byte, as a problem. */
@ApiTags('streams')
@ApiProblems()
@Controller('streams')
export class StreamsController {
  private readonly log = new Logger(StreamsController.name);

  constructor(
    private readonly broadcaster: SseBroadcaster,
    private readonly readiness: Readiness,
  ) {}

  @Roles('viewer')
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
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.stream([`workflow:${id}`], query, principal, request, response);
  }

  @Roles('viewer')
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
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.stream([`resource:${id}`], query, principal, request, response);
  }

  @Roles('viewer')
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
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.stream(['clusters'], query, principal, request, response);
  }

  @Roles('viewer')
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
    @Req() request: Request,
    @Res() response: Response,
  ): Promise<void> {
    return this.stream([`cluster:${id}`], query, principal, request, response);
  }

  @Roles('viewer')
  @Get('stats')
  @ApiOperation({ summary: 'How many streams are open and what they carry' })
  @ApiOkResponse({ standardSchema: streamStats })
  stats(): z.infer<typeof streamStats> {
    return this.broadcaster.stats();
  }

  private async stream(
    streamKeys: readonly string[],
    query: StreamQuery,
    principal: Principal,
    request: Request,
    response: Response,
  ): Promise<void> {
    if (request.accepts('text/event-stream') === false) {
      throw new AppError('request.not_acceptable', 'this is an event stream; send "Accept: text/event-stream"');
    }
    if (this.readiness.state === 'draining') {
      this.broadcaster.refuse(response, 'shutdown');
      return;
    }
    const topics = await this.authorize(principal, streamKeys);
    const options = query.duration === undefined ? {} : { durationMs: duration().parse(query.duration) };
    if (topics) this.broadcaster.open(response, principal, topics, options);
    else this.broadcaster.refuse(response, 'overloaded');
  }

  /** Nothing if it cannot be told now: an EventSource that got a 5xx would never come back. */
  private async authorize(
    principal: Principal,
    streamKeys: readonly string[],
  ): Promise<readonly ResolvedTopic[] | undefined> {
    try {
      return await this.broadcaster.authorize(principal, streamKeys);
    } catch (error) {
      if (error instanceof AppError && error.status < 500) throw error;
      this.log.error({ message: 'a stream could not be authorized', streamKeys, error });
      return undefined;
    }
  }
}
