import { Injectable } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import type { Principal } from './principal.js';

/** A credential for a few named things only. It stands in for a key where no header can be sent (DESIGN 5). */
export interface Ticket {
  readonly id: string;
  /** Whose rights it has: those of whoever asked for it. */
  readonly principal: Principal;
  /** What it is for; each is authorised again at every use. */
  readonly keys: readonly string[];
  /** When it last was put to use; null until then. */
  readonly startedAt: Date | null;
  /** Until when, once used, it lets its client come back. */
  readonly resumableUntil: Date;
}

/** Port: who keeps the tickets. Implemented by the room that issues them, which registers itself at `Tickets`. */
export interface TicketAuthority {
  /**
   * The ticket with this secret; `over` for one that has expired or was revoked not long ago, which whoever sends it has
   * not guessed; `unknown` otherwise. Rejects when that cannot be told now.
   */
  find(secret: string): Promise<Ticket | 'over' | 'unknown'>;
}

/** Where the guard asks for tickets. */
@Injectable()
export class Tickets implements TicketAuthority {
  private authority: TicketAuthority | undefined;

  register(authority: TicketAuthority): void {
    if (this.authority) throw new Error('somebody keeps the tickets already');
    this.authority = authority;
  }

  async find(secret: string): Promise<Ticket | 'over' | 'unknown'> {
    return this.authority ? this.authority.find(secret) : 'unknown';
  }
}

/** The answer to a ticket that cannot be used; `problem` completes "the ticket …". */
export function ticketRefused(problem: string): AppError {
  const detail = `the ticket ${problem}; get a new one with POST /api/v1/streams/tickets`;
  return new AppError('stream.ticket_refused', detail, { headers: { 'WWW-Authenticate': 'Bearer realm="crowsnest"' } });
}
