import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type Principal, type Scope, tenantFilter } from '../../auth/principal.js';
import type { Ticket } from '../../auth/ticket-authority.js';
import type { StreamTicketDocument } from './stream-ticket.schema.js';

/** A browser that slept may come back with a ticket that is over: it is no wrong credential then. */
const KNOWN_FOR_MS = 24 * 3_600_000;

@Injectable()
export class StreamTicketsRepository {
  constructor(@InjectModel('StreamTicket') private readonly model: Model<StreamTicketDocument>) {}

  async insert(ticket: StreamTicketDocument): Promise<void> {
    await this.model.create([ticket]);
  }

  async find(digest: string, now: Date): Promise<Ticket | 'over' | 'unknown'> {
    const found = await this.model.findOne({ digest }).lean<StreamTicketDocument>();
    if (!found) return 'unknown';
    const usableUntil = found.startedAt === null ? found.firstUseBy : found.resumableUntil;
    return found.revokedAt === null && usableUntil > now ? toTicket(found) : 'over';
  }

  /** How many tickets of the principal have not been used and still can be. */
  countUnused({ tenantId, id }: Principal, now: Date): Promise<number> {
    return this.model.countDocuments({
      tenantId,
      principalId: id,
      startedAt: null,
      revokedAt: null,
      firstUseBy: { $gt: now },
    });
  }

  /** From now on the ticket only brings its client back. False if it was revoked. */
  async markStarted({ id, resumableUntil }: Ticket, now: Date): Promise<boolean> {
    const expiresAt = new Date(resumableUntil.getTime() + KNOWN_FOR_MS);
    const { matchedCount } = await this.model.updateOne(
      { _id: new Types.ObjectId(id), revokedAt: null },
      { $set: { startedAt: now, expiresAt } },
    );
    return matchedCount > 0;
  }

  /** Null if there is none in the scope, or none of that principal where one is named, that is not revoked already. */
  async revoke(scope: Scope, id: string, now: Date, principalId?: string): Promise<Ticket | null> {
    const revoked = await this.model.findOneAndUpdate(
      {
        _id: new Types.ObjectId(id),
        ...tenantFilter(scope),
        ...(principalId === undefined ? {} : { principalId }),
        revokedAt: null,
      },
      { $set: { revokedAt: now, expiresAt: new Date(now.getTime() + KNOWN_FOR_MS) } },
    );
    return revoked === null ? null : toTicket(revoked);
  }

  async remove(id: string): Promise<void> {
    await this.model.deleteOne({ _id: new Types.ObjectId(id) });
  }
}

function toTicket(document: StreamTicketDocument): Ticket {
  const { principalKind, principalId, role, tenantId } = document;
  return {
    id: document._id.toHexString(),
    principal: { kind: principalKind, id: principalId, role, tenantId },
    keys: document.keys,
    startedAt: document.startedAt,
    resumableUntil: document.resumableUntil,
  };
}
