import { Inject, Injectable } from '@nestjs/common';
import { Types } from 'mongoose';
import { digestOf } from '../../auth/api-key.js';
import { type Principal, hasRole } from '../../auth/principal.js';
import { type Ticket, type TicketAuthority, ticketRefused } from '../../auth/ticket-authority.js';
import { AppError } from '../../errors/app-error.js';
import type { Removed } from '../../http/removed.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import { type RealtimeConfig, realtimeConfig } from '../realtime.config.js';
import { SseBroadcaster } from '../streams/sse-broadcaster.js';
import { StreamTicketsRepository } from './stream-tickets.repository.js';
import { TicketStreams } from './ticket-streams.js';

/** DESIGN 5. */
const FIRST_USE_MS = 30_000;
/** A stream that begins at the last moment is stored as begun a little later. */
const UNUSED_KEPT_MS = 60_000;
const UNUSED_PER_PRINCIPAL = 1_000;
const SECRET = /^cst_[\w-]{43}$/;

/** What whoever asked for a ticket gets: the only time that its secret is told. */
export interface IssuedTicket {
  readonly id: string;
  readonly ticket: string;
  readonly keys: readonly string[];
  readonly firstUseBy: string;
  readonly expiresAt: string;
  /** Where an EventSource goes with it. */
  readonly path: string;
}

/**
 * Tickets for clients that can send no header. Each is for a list of stream keys, with the rights of whoever asked for
 * it. Its stream has to begin within 30 s, as often as it takes until the first event was sent; from then on the ticket
 * only lets a client that has a Last-Event-ID come back (DESIGN 5).
 */
@Injectable()
export class StreamTicketsService implements TicketAuthority {
  constructor(
    private readonly tickets: StreamTicketsRepository,
    private readonly streams: TicketStreams,
    @Inject(SseBroadcaster) private readonly broadcaster: Pick<SseBroadcaster, 'authorize'>,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
    @Inject(realtimeConfig.token) private readonly config: Pick<RealtimeConfig, 'streamTicketLifetimeMs'>,
  ) {}

  /** Throws `resource.not_found` for a key that the principal may not read, `stream.limit` if too many wait unused. */
  async issue(principal: Principal, keys: readonly string[]): Promise<IssuedTicket> {
    await this.broadcaster.authorize(principal, keys);
    const secret = `cst_${this.random.bytes(32).toString('base64url')}`;
    const now = this.clock.now();
    const firstUseBy = new Date(now + FIRST_USE_MS);
    const resumableUntil = new Date(now + this.config.streamTicketLifetimeMs);
    const _id = new Types.ObjectId();
    await this.tickets.insert({
      _id,
      tenantId: principal.tenantId,
      principalKind: principal.kind,
      principalId: principal.id,
      role: principal.role,
      keys,
      digest: digestOf(secret).toString('hex'),
      createdAt: new Date(now),
      startedAt: null,
      firstUseBy,
      resumableUntil,
      revokedAt: null,
      expiresAt: new Date(firstUseBy.getTime() + UNUSED_KEPT_MS),
    });
    const id = _id.toHexString();
    // Counted with the new one, so that requests at the same time cannot all find the last place free.
    if ((await this.tickets.countUnused(principal, new Date(now))) > UNUSED_PER_PRINCIPAL) {
      await this.tickets.remove(id);
      throw new AppError(
        'stream.limit',
        `"${principal.id}" has ${UNUSED_PER_PRINCIPAL} unused tickets; use them first`,
        {
          headers: { 'Retry-After': String(FIRST_USE_MS / 1_000) },
        },
      );
    }
    return {
      id,
      ticket: secret,
      keys,
      firstUseBy: firstUseBy.toISOString(),
      expiresAt: resumableUntil.toISOString(),
      path: `/api/v1/streams?ticket=${secret}`,
    };
  }

  async find(secret: string): Promise<Ticket | 'over' | 'unknown'> {
    if (!SECRET.test(secret)) return 'unknown';
    return this.tickets.find(digestOf(secret).toString('hex'), new Date(this.clock.now()));
  }

  /**
   * The keys of a stream that is asked for with a ticket. Throws `resource.not_found` for keys that are not its own, and
   * `stream.ticket_refused` when it has been used and the client does not say where it was.
   */
  admit(ticket: Ticket, keys: readonly string[] | undefined, lastEventId: string | undefined): readonly string[] {
    if (keys && !isSameSet(keys, ticket.keys)) {
      throw new AppError('resource.not_found', 'this ticket is not for these streams; get one with just these keys');
    }
    if (ticket.startedAt !== null && lastEventId === undefined) {
      throw ticketRefused('has been used, so it only brings a client back that sends its Last-Event-ID');
    }
    return ticket.keys;
  }

  /** Its stream ends too. An admin may do so for the whole tenant, others for what they asked for. */
  async revoke(principal: Principal, id: string): Promise<Removed> {
    const owner = hasRole(principal, 'admin') ? undefined : principal.id;
    const now = new Date(this.clock.now());
    const revoked = await this.tickets.revoke(principal, id, now, owner);
    if (revoked === null) throw AppError.notFound('ticket');
    this.streams.cut(id);
    return { tenantId: revoked.principal.tenantId };
  }
}

function isSameSet(some: readonly string[], others: readonly string[]): boolean {
  return new Set(some).size === others.length && some.every((each) => others.includes(each));
}
