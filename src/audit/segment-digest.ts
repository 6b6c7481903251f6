import { createHash } from 'node:crypto';
import type { Types } from 'mongoose';
import { type AuditRow, contentOf } from './audit-row.js';

/** What a segment says of its rows. Rows are added in the order of their ids. */
export class SegmentDigest {
  private readonly sha256 = createHash('sha256');
  private first: Types.ObjectId | undefined;
  private last: Types.ObjectId | undefined;
  private newestMs = 0;
  private rows = 0;

  get count(): number {
    return this.rows;
  }

  /** Returns the content of the row, which the tag of it is made over too. */
  add(row: AuditRow): string {
    const content = contentOf(row);
    this.sha256.update(content).update('\n');
    this.first ??= row._id;
    this.last = row._id;
    // Whoever changes rows in the database need not keep to types.
    if (row.at instanceof Date) this.newestMs = Math.max(this.newestMs, row.at.getTime());
    this.rows += 1;
    return content;
  }

  hash(): string {
    return this.sha256.copy().digest('hex');
  }

  /** undefined without rows. */
  summary() {
    const { first, last } = this;
    if (!first || !last) return undefined;
    return { fromId: first, toId: last, count: this.rows, newestAt: new Date(this.newestMs), hash: this.hash() };
  }
}
