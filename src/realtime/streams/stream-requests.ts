import { Inject, Injectable } from '@nestjs/common';
import type { Request, Response } from 'express';
import type { z } from 'zod';
import type { Principal } from '../../auth/principal.js';
import type { Ticket } from '../../auth/ticket-authority.js';
import { AppError } from '../../errors/app-error.js';
import { Readiness } from '../../lifecycle/readiness.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { StreamTicketsService } from '../tickets/stream-tickets.service.js';
import { TicketStreams } from '../tickets/ticket-streams.js';
import { SseBroadcaster } from './sse-broadcaster.js';
import { MAX_EVENT_ID, type streamQuery } from './streams.dto.js';

/** What every stream takes. */
export type StreamQuery = z.infer<typeof streamQuery>;

/** What a stream is asked for with. */
export interface StreamRequest {
  readonly query: StreamQuery;
  readonly principal: Principal;
  readonly ticket: Ticket | undefined;
  readonly request: Request;
  readonly response: Response;
}

/** Makes requests for event streams into streams: of keys that the route names, or that a ticket is for. */
@Injectable()
export class StreamRequests {
  constructor(
    private readonly broadcaster: SseBroadcaster,
    private readonly readiness: Readiness,
    private readonly tickets: StreamTicketsService,
    private readonly ticketStreams: TicketStreams,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /** @throws AppError before the first byte */
  async open(streamKeys: readonly string[] | undefined, asked: StreamRequest): Promise<void> {
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
