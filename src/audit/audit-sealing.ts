import { Inject, Injectable, Logger } from '@nestjs/common';
import { Types } from 'mongoose';
import { SERVER_TIME, type ServerTime } from '../database/index.js';
import { AuditChain, type AuditSegment, GENESIS } from './audit-chain.js';
import { AuditLogMetrics } from './audit-log.metrics.js';
import { AuditSegmentsRepository } from './audit-segments.repository.js';
import { packIds, unpackIds } from './row-ids.js';
import { SegmentDigest } from './segment-digest.js';
import { type SweepGuard, mayGoOn } from '../leader-election/index.js';

export const SEGMENT_ROWS = 10_000;
const MARKED_AT_ONCE = 1_000;

export interface SealingResult {
  readonly rows: number;
  readonly segments: number;
  /** Number of the newest segment; 0 without one. */
  readonly newest: number;
}

interface End {
  readonly segment: number;
  readonly segmentTag: string;
}

/**
 * Seals what is not sealed yet as the next segment. The segment says which rows are its own, so a row that comes late,
 * whatever its id, is in the next one, and none is left out. Storing the segment is what counts: its number is taken
 * once, so of two leaders one wins, and whoever leads after a crash finishes the marking of its rows.
 */
@Injectable()
export class AuditSealing {
  private readonly log = new Logger(AuditSealing.name);

  constructor(
    private readonly segments: AuditSegmentsRepository,
    private readonly chain: AuditChain,
    private readonly metrics: AuditLogMetrics,
    @Inject(SERVER_TIME) private readonly time: Pick<ServerTime, 'read'>,
  ) {}

  async seal(guard: SweepGuard): Promise<SealingResult> {
    let end = await this.end(guard);
    let rows = 0;
    let segments = 0;
    for (;;) {
      const segment = await this.sealNext(end, guard);
      if (!segment) break;
      end = { segment: segment._id, segmentTag: segment.tag };
      rows += segment.count;
      segments += 1;
      if (segment.count < SEGMENT_ROWS) break;
    }
    this.metrics.newest(end.segment);
    return { rows, segments, newest: end.segment };
  }

  /** Where the chain ends, after what a process has left half done there is finished. */
  private async end(guard: SweepGuard): Promise<End> {
    mayGoOn(guard);
    const head = await this.segments.head();
    const [newest, anchor] = await Promise.all([this.segments.newest(), this.segments.newestAnchor()]);
    const ends: End[] = [{ segment: 0, segmentTag: GENESIS }];
    if (anchor) ends.push({ segment: anchor._id, segmentTag: anchor.segmentTag });
    if (head) ends.push({ segment: head.segment, segmentTag: head.segmentTag });
    if (newest) {
      await this.finish(newest, guard);
      ends.push({ segment: newest._id, segmentTag: newest.tag });
    }
    const end = ends.reduce((furthest, each) => (each.segment > furthest.segment ? each : furthest));
    if (end.segment > Math.max(newest?._id ?? 0, anchor?._id ?? 0)) {
      // The chain goes on behind the gap, so that it stays to be seen.
      this.log.error({ message: 'the newest segments of the audit log are gone', expected: end.segment });
    }
    return end;
  }

  private async sealNext({ segment, segmentTag }: End, guard: SweepGuard): Promise<AuditSegment | undefined> {
    mayGoOn(guard);
    const digest = new SegmentDigest();
    const ids: Types.ObjectId[] = [];
    for await (const row of this.segments.unsealed(SEGMENT_ROWS)) {
      guard.signal.throwIfAborted();
      // Made up in the database: verification tells of it.
      if (!(row._id instanceof Types.ObjectId)) continue;
      digest.add(row);
      ids.push(row._id);
    }
    const summary = digest.summary();
    if (!summary) return undefined;
    const content = { _id: segment + 1, ...summary, sealedAt: await this.time.read(), previous: segmentTag };
    const next = { ...content, tag: this.chain.tagOf('segment', content), pending: packIds(ids) };
    mayGoOn(guard);
    // Another process leads by now.
    if (!(await this.segments.insert(next))) return undefined;
    this.metrics.sealed(next.count);
    // The tag in the log is a witness outside of the database.
    this.log.log({ message: 'audit rows were sealed', segment: next._id, rows: next.count, tag: next.tag });
    await this.finish(next, guard);
    return next;
  }

  private async finish(segment: AuditSegment, guard: SweepGuard): Promise<void> {
    if (segment.pending !== null) {
      const ids = unpackIds(segment.pending);
      for (let at = 0; at < ids.length; at += MARKED_AT_ONCE) {
        mayGoOn(guard);
        await this.segments.mark(segment._id, ids.slice(at, at + MARKED_AT_ONCE));
      }
      mayGoOn(guard);
      await this.segments.settle(segment._id);
    }
    const content = { _id: 'head', segment: segment._id, segmentTag: segment.tag } as const;
    mayGoOn(guard);
    await this.segments.advanceHead({ ...content, tag: this.chain.tagOf('head', content) });
  }
}
