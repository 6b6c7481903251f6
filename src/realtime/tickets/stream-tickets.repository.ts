import { Injectable } from '@nestjs/common';
import { InjectModel } from '@nestjs/mongoose';
import { type Model, Types } from 'mongoose';
import { type Principal, type Scope, tenantFilter } from '../../auth/principal.js';
import type { Ticket } from '../../auth/ticket-authority.js';
import type { StreamTicketDocument } from './stream-ticket.schema.js';

@Injectable()
export class StreamTicketsRepository {
  constructor(@InjectModel('StreamTicket') private readonly model: Model<StreamTicketDocument>) {}

  async insert(ticket: StreamTicketDocument): Promise<void> {
    await this.model.create([ticket]);
  }

  /** The ticket with this digest, unless it has expired: the store may take a minute to remove it. */
  async find(digest: string, now: Date): Promise<Ticket | undefined> {
    const found = await this.model.findOne({ digest, expiresAt: { $gt: now } }).lean<StreamTicketDocument>();
    return found ? toTicket(found) : undefined;
  }

  /** How many tickets of the principal have not been used and still can be. */
  countUnused({ tenantId, id }: Principal, now: Date): Promise<number> {
    return this.model.countDocuments({ tenantId, principalId: id, startedAt: null, expiresAt: { $gt: now } });
  }

  /** From now on the ticket only brings its client back. False if it was revoked. */
  async markStarted(id: string, now: Date, expiresAt: Date): Promise<boolean> {
    const { matchedCount } = await this.model.updateOne(
      { _id: new Types.ObjectId(id) },
      { $set: { startedAt: now, expiresAt } },
    );
    return matchedCount > 0;
  }

  /** False if there is none in the scope, or none of that principal where one is named. */
  async remove(scope: Scope, id: string, principalId?: string): Promise<boolean> {
    const { deletedCount } = await this.model.deleteOne({
      _id: new Types.ObjectId(id),
      ...tenantFilter(scope),
      ...(principalId === undefined ? {} : { principalId }),
    });
    return deletedCount > 0;
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
