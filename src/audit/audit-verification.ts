import { Injectable } from '@nestjs/common';
import { type Authenticator, Authenticators } from '../sealing/index.js';
import { type AuditAnchor, AuditChain, type AuditHead, type AuditSegment, GENESIS } from './audit-chain.js';
import { AUDIT_ROW_PURPOSE } from './audit-log.js';
import type { AuditRow } from './audit-row.js';
import { AuditSegmentsRepository } from './audit-segments.repository.js';
import { unpackIds } from './row-ids.js';
import { SegmentDigest } from './segment-digest.js';
import { type Finding, Findings, type Tampering } from './tampering.js';

const SEGMENTS_AT_ONCE = 100;
const NAMED_ROWS = 5;

export interface AuditVerdict {
  /** `undecided`: all that was found is keys that are gone. */
  readonly status: 'intact' | 'broken' | 'undecided';
  /** Lowest number of a segment with a finding. */
  readonly firstBadSegment: number | null;
  /** At most 100. */
  readonly findings: readonly Finding[];
  readonly findingsCount: number;
  /** What was looked at; null without a segment. */
  readonly from: number | null;
  readonly to: number | null;
  readonly segments: number;
  readonly rows: number;
  /** Rows whose removal would leave no trace yet. */
  readonly unsealedRows: number;
  readonly newest: { readonly segment: number; readonly tag: string } | null;
  /** What retention removed. */
  readonly anchor: { readonly segment: number; readonly segments: number; readonly rows: number } | null;
}

export interface SegmentRange {
  readonly from?: number | undefined;
  readonly to?: number | undefined;
}

interface SegmentRows {
  readonly digest: SegmentDigest;
  readonly notAuthentic: string[];
}

/**
 * Reads the whole log, or a range of it, and finds every change that was made past the service, in pieces of bounded
 * size. Sealing and retention may go on meanwhile: what they write is read in the order that makes it no finding.
 */
@Injectable()
export class AuditVerification {
  private readonly authenticator: Authenticator;

  constructor(
    private readonly segments: AuditSegmentsRepository,
    private readonly chain: AuditChain,
    authenticators: Authenticators,
  ) {
    this.authenticator = authenticators.of(AUDIT_ROW_PURPOSE);
  }

  /** Rejects with the signal's reason. */
  async verify(range: SegmentRange, signal: AbortSignal): Promise<AuditVerdict> {
    const findings = new Findings();
    const anchor = await this.segments.newestAnchor();
    if (anchor) this.checkTag(findings, anchor._id, 'anchor', anchor);
    // In this order: a segment is stored before the head points at it.
    const head = await this.segments.head();
    const newest = await this.segments.newest();
    const beginning = (anchor?._id ?? 0) + 1;
    const end = Math.max(newest?._id ?? 0, beginning - 1);
    const from = Math.max(range.from ?? beginning, beginning);
    const to = Math.min(range.to ?? end, end);

    let previous = from <= to ? await this.tagBefore(from, anchor, findings) : undefined;
    let rows = 0;
    for (let first = from; first <= to; first += SEGMENTS_AT_ONCE) {
      signal.throwIfAborted();
      const last = Math.min(first + SEGMENTS_AT_ONCE - 1, to);
      const stored = await this.segments.range(first, last, SEGMENTS_AT_ONCE);
      const marked = await this.markedRows(first, last, signal);
      for (const mark of marked.keys()) if (!Number.isInteger(mark)) findings.add(null, 'rows_added');
      const byNumber = new Map(stored.map((segment) => [segment._id, segment]));
      for (let number = first; number <= last; number += 1) {
        const segment = byNumber.get(number);
        if (segment) {
          const found = segment.pending === null ? marked.get(number) : await this.rowsOf(segment, signal);
          rows += this.checkSegment(findings, segment, previous, found);
        } else {
          findings.add(number, 'segment_missing');
        }
        previous = segment?.tag;
      }
    }
    if (range.to === undefined || range.to >= end) await this.checkTail(findings, end, head);
    await this.checkRest(findings, beginning - 1, signal);
    const unsealedRows = await this.checkUnsealed(findings, signal);
    const list = await this.withoutPruned(findings.list, anchor);
    const bad = list.map(({ segment }) => segment).filter((segment) => segment !== null);
    return {
      status: statusOf(list),
      firstBadSegment: bad.length > 0 ? Math.min(...bad) : null,
      findings: list,
      findingsCount: findings.count - (findings.list.length - list.length),
      from: from <= to ? from : null,
      to: from <= to ? to : null,
      segments: Math.max(0, to - from + 1),
      rows,
      unsealedRows,
      newest: newest && { segment: newest._id, tag: newest.tag },
      anchor: anchor && { segment: anchor._id, segments: anchor.segments, rows: anchor.rows },
    };
  }

  /** What the first segment of the range has to be linked to. */
  private async tagBefore(from: number, anchor: AuditAnchor | null, findings: Findings): Promise<string | undefined> {
    if (from === (anchor?._id ?? 0) + 1) return anchor?.segmentTag ?? GENESIS;
    const before = await this.segments.find(from - 1);
    if (!before) findings.add(from - 1, 'segment_missing');
    return before?.tag;
  }

  /** Returns how many rows there are. */
  private checkSegment(
    findings: Findings,
    segment: AuditSegment,
    previous: string | undefined,
    found: SegmentRows | undefined,
  ): number {
    const { _id: number, count, hash } = segment;
    this.checkTag(findings, number, 'segment', segment);
    if (previous !== undefined && segment.previous !== previous) findings.add(number, 'segment_unlinked');
    if (found && found.notAuthentic.length > 0) findings.add(number, 'row_not_authentic', found.notAuthentic);
    const counted = found?.digest.count ?? 0;
    const problem = difference(counted - count, found?.digest.hash() === hash);
    // A changed row changes the hash: told once.
    const isTold = problem === 'rows_replaced' && found && found.notAuthentic.length > 0;
    if (problem && !isTold) findings.add(number, problem);
    return counted;
  }

  private checkTag(
    findings: Findings,
    segment: number,
    kind: 'segment' | 'head' | 'anchor',
    document: AuditSegment | AuditHead | AuditAnchor,
  ): void {
    const authenticity = this.chain.check(kind, document);
    if (authenticity === 'invalid') findings.add(segment, `${kind}_changed`);
    if (authenticity === 'unknown-key') findings.add(segment, 'key_unknown');
  }

  /** The head is one behind when a process ended between two writes, never two. */
  private async checkTail(findings: Findings, end: number, head: AuditHead | null): Promise<void> {
    if (head) this.checkTag(findings, head.segment, 'head', head);
    const reached = head?.segment ?? 0;
    if (reached > end) findings.add(end + 1, 'tail_missing');
    else if (reached < end - 1) findings.add(end, 'head_changed');
    // First what is marked, then what is sealed: rows are marked last.
    const highest = await this.segments.highestMark();
    const newest = Math.max((await this.segments.newest())?._id ?? 0, end);
    const isNumber = typeof highest === 'number';
    if (highest !== null && !(isNumber && highest <= newest)) {
      findings.add(isNumber ? Math.ceil(highest) : null, 'rows_added');
    }
    if (await this.segments.withImpossibleMark()) findings.add(null, 'rows_added');
  }

  /** What retention has left to remove: whether it is sealed cannot be told any more, but nobody can have made it up. */
  private async checkRest(findings: Findings, through: number, signal: AbortSignal): Promise<void> {
    if (through < 1) return;
    for await (const row of this.segments.rowsOf(1, through)) {
      signal.throwIfAborted();
      if (!this.isAuthentic(row)) findings.add(row.segment, 'row_not_authentic', [String(row._id)]);
    }
  }

  private async checkUnsealed(findings: Findings, signal: AbortSignal): Promise<number> {
    const { digest, notAuthentic } = await this.read(this.segments.unsealed(), signal);
    if (notAuthentic.length > 0) findings.add(null, 'row_not_authentic', notAuthentic);
    return digest.count;
  }

  /** Segments that retention removed while they were looked at. */
  private async withoutPruned(list: readonly Finding[], before: AuditAnchor | null): Promise<readonly Finding[]> {
    if (list.length === 0) return list;
    const anchor = await this.segments.newestAnchor();
    if (!anchor || anchor._id === before?._id || this.chain.check('anchor', anchor) !== 'valid') return list;
    return list.filter(({ segment }) => segment === null || segment > anchor._id || segment <= (before?._id ?? 0));
  }

  private async markedRows(from: number, to: number, signal: AbortSignal): Promise<Map<number, SegmentRows>> {
    const bySegment = new Map<number, SegmentRows>();
    for await (const row of this.segments.rowsOf(from, to)) {
      signal.throwIfAborted();
      const { segment } = row;
      if (segment === null) continue;
      const rows = bySegment.get(segment) ?? { digest: new SegmentDigest(), notAuthentic: [] };
      bySegment.set(segment, rows);
      this.add(rows, row);
    }
    return bySegment;
  }

  private rowsOf({ pending }: AuditSegment, signal: AbortSignal): Promise<SegmentRows> {
    return this.read(this.segments.rowsById(pending ? unpackIds(pending) : []), signal);
  }

  private async read(found: AsyncIterable<AuditRow>, signal: AbortSignal): Promise<SegmentRows> {
    const rows = { digest: new SegmentDigest(), notAuthentic: [] };
    for await (const row of found) {
      signal.throwIfAborted();
      this.add(rows, row);
    }
    return rows;
  }

  private add({ digest, notAuthentic }: SegmentRows, row: AuditRow): void {
    const content = digest.add(row);
    // Of a key that is gone only the segment can tell.
    if (this.authenticator.check(content, row.tag) !== 'invalid') return;
    if (notAuthentic.length < NAMED_ROWS) notAuthentic.push(String(row._id));
  }

  private isAuthentic(row: AuditRow): boolean {
    return this.authenticator.check(new SegmentDigest().add(row), row.tag) !== 'invalid';
  }
}

function statusOf(findings: readonly Finding[]): AuditVerdict['status'] {
  if (findings.length === 0) return 'intact';
  return findings.every(({ problem }) => problem === 'key_unknown') ? 'undecided' : 'broken';
}

function difference(rows: number, isSame: boolean): Tampering | undefined {
  if (rows < 0) return 'rows_missing';
  if (rows > 0) return 'rows_added';
  return isSame ? undefined : 'rows_replaced';
}
