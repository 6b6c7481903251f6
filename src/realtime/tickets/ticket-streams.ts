import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Ticket } from '../../auth/ticket-authority.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import type { Runnable } from '../../runtime/runnable.js';
import { StreamTicketsRepository } from './stream-tickets.repository.js';

/** What a stream that runs on a ticket tells. */
export interface TicketStream {
  /** Its first event was written. */
  readonly onStarted: () => void;
  readonly onClosed: () => void;
}

/** The streams that run on tickets: marks their tickets as used, and cuts them when their ticket is revoked. */
@Injectable()
export class TicketStreams implements Runnable {
  readonly name = 'ticket streams';
  private readonly log = new Logger(TicketStreams.name);
  /** How to cut the streams, by the ticket's id. */
  private readonly cuts = new Map<string, Set<() => void>>();
  private readonly marks = new Set<Promise<void>>();

  constructor(
    @Inject(StreamTicketsRepository) private readonly tickets: Pick<StreamTicketsRepository, 'markStarted'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  start(): Promise<void> {
    return Promise.resolve();
  }

  /** Resolves when what the ended streams had to store is stored. */
  async stop(): Promise<void> {
    await Promise.all(this.marks);
  }

  /** To be called before the stream opens; `cut` ends its connection. */
  begin(ticket: Ticket, cut: () => void): TicketStream {
    const cuts = this.cuts.get(ticket.id) ?? new Set();
    this.cuts.set(ticket.id, cuts.add(cut));
    let marked: boolean | undefined;
    let isStarted = false;
    const mark = (): void => {
      const pending = this.markUsed(ticket).then((outcome) => {
        marked = outcome !== 'failed';
        // Revoked between the check and now.
        if (outcome === 'gone') cut();
      });
      this.marks.add(pending);
      void pending.then(() => this.marks.delete(pending));
    };
    return {
      onStarted: () => {
        if (isStarted) return;
        isStarted = true;
        mark();
      },
      onClosed: () => {
        cuts.delete(cut);
        if (cuts.size === 0) this.cuts.delete(ticket.id);
        // The store was away when the stream began; it may be back.
        if (marked === false) mark();
      },
    };
  }

  /** Ends the streams that run on the ticket. */
  cut(ticketId: string): void {
    for (const cut of this.cuts.get(ticketId) ?? []) cut();
  }

  /** From now on the ticket only brings its client back. Never rejects. */
  async markUsed(ticket: Ticket): Promise<'marked' | 'gone' | 'failed'> {
    try {
      const now = new Date(this.clock.now());
      return (await this.tickets.markStarted(ticket, now)) ? 'marked' : 'gone';
    } catch (error) {
      this.log.warn({ message: 'a stream ticket could not be marked as used', ticketId: ticket.id, error });
      return 'failed';
    }
  }
}
