import { Injectable } from '@nestjs/common';
import { Types, mongo } from 'mongoose';
import { type Scope, tenantFilter } from '../auth/index.js';
import { cursorFilter } from '../http/index.js';
import { AuditCollections, MAJORITY } from './audit-collections.js';
import type { AuditRow } from './audit-row.js';

const DUPLICATE_KEY = 11_000;

export interface AuditListQuery {
  readonly limit: number;
  readonly cursor?: string | undefined;
  readonly actor?: readonly string[] | undefined;
  readonly action?: readonly string[] | undefined;
  readonly target?: string | undefined;
  readonly targetType?: string | undefined;
  readonly outcome?: 'success' | 'failure' | undefined;
  readonly tenantId?: string | undefined;
  readonly since?: Date | undefined;
  readonly until?: Date | undefined;
}

/** The rows, as they are written and shown. Nothing here changes or removes one. */
@Injectable()
export class AuditRowsRepository {
  constructor(private readonly collections: AuditCollections) {}

  /** Repeating it after a failure whose outcome is unknown stores nothing twice. */
  async insert(rows: readonly AuditRow[]): Promise<void> {
    try {
      await this.collections.rows.insertMany([...rows], { ordered: false, ...MAJORITY });
    } catch (error) {
      if (!(error instanceof mongo.MongoBulkWriteError)) throw error;
      const errors = [error.writeErrors].flat();
      if (errors.length === 0 || errors.some(({ code }) => code !== DUPLICATE_KEY)) throw error;
    }
  }

  /** Newest first; one more than the limit where there is a next page. */
  list(scope: Scope, query: AuditListQuery): Promise<AuditRow[]> {
    const { actor, action, target, targetType, outcome, tenantId } = query;
    const filter = {
      $and: [
        tenantFilter(scope),
        cursorFilter(query),
        timeFilter(query),
        actor === undefined ? {} : { 'actor.id': { $in: [...actor] } },
        action === undefined ? {} : { action: { $in: [...action] } },
        target === undefined ? {} : { 'target.id': target },
        targetType === undefined ? {} : { 'target.type': targetType },
        outcome === undefined ? {} : { outcome },
        tenantId === undefined ? {} : { tenantId },
      ],
    };
    return this.collections.rows
      .find(filter)
      .sort({ _id: -1 })
      .limit(query.limit + 1)
      .toArray();
  }
}

/** Ids begin with the second of `at`, so that the database need not look at rows of other times. */
function timeFilter({ since, until }: AuditListQuery): mongo.Filter<AuditRow> {
  const at = { ...(since && { $gte: since }), ...(until && { $lt: until }) };
  if (!since && !until) return {};
  const _id = {
    ...(since && { $gte: firstIdAt(since.getTime()) }),
    ...(until && { $lt: firstIdAt(until.getTime() + 1_000) }),
  };
  return { _id, at };
}

function firstIdAt(ms: number): Types.ObjectId {
  return Types.ObjectId.createFromTime(Math.floor(ms / 1_000));
}
