import { Inject, Injectable, Logger } from '@nestjs/common';
import { SERVER_TIME, type ServerTime } from '../database/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { RANDOM, type Random } from '../runtime/random.js';
import { type AuditAnchor, AuditChain, type AuditSegment } from './audit-chain.js';
import type { AuditDetail } from './audit-entry.js';
import { exportAuditRows } from './audit-export.js';
import { AuditLog } from './audit-log.js';
import { AuditLogMetrics } from './audit-log.metrics.js';
import { AuditSegmentsRepository } from './audit-segments.repository.js';
import { type AuditConfig, auditConfig } from './audit.config.js';
import { type SweepGuard, mayGoOn } from '../leader-election/index.js';

/** Rows between two pauses. */
const RETENTION_BATCH = 10_000;
const PAUSE_MS = 100;
/** By one command: others come in between. */
const REMOVED_AT_ONCE = 100;
/** Segments that are exported, anchored and removed together. */
const CHUNK_SEGMENTS = 1_000;
const CHUNK_ROWS = 100_000;

export interface RetentionResult {
  readonly rows: number;
  readonly segments: number;
  readonly batches: number;
  readonly files: number;
  readonly isDryRun: boolean;
  /** Rows that a run that is no dry run would have removed; 0 in one that is none. */
  readonly dueRows: number;
  /** What is older is due; null under a hold of everything. */
  readonly cutoff: Date | null;
}

type Counts = { rows: number; segments: number; batches: number; files: number };

/** The chain is not what it was: nothing is removed that may be evidence. */
export class AuditChainBroken extends Error {
  constructor(segment: number) {
    super(`segment ${segment} of the audit log is not as it was sealed: see GET /api/v1/audit-logs/verify`);
    this.name = 'AuditChainBroken';
  }
}

/**
 * Removes what is too old: whole segments from the beginning of the chain, never a part of one, never past a legal hold.
 * For each chunk of them, in this order: export, an anchor that the rest of the chain is verified from, rows, segments.
 * So whatever ends it in between, the next run only finishes what the anchor has decided. It tells the log itself what
 * it is going to do and what it has done.
 */
@Injectable()
export class AuditRetention {
  private readonly log = new Logger(AuditRetention.name);

  constructor(
    private readonly segments: AuditSegmentsRepository,
    private readonly chain: AuditChain,
    @Inject(AuditLog) private readonly auditLog: Pick<AuditLog, 'append'>,
    private readonly metrics: AuditLogMetrics,
    @Inject(auditConfig.token) private readonly config: AuditConfig,
    @Inject(SERVER_TIME) private readonly time: Pick<ServerTime, 'read'>,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /** @throws AuditChainBroken, the signal's reason, LeaseLost, errors of the export. */
  async prune(guard: SweepGuard): Promise<RetentionResult> {
    mayGoOn(guard);
    const counts: Counts = { rows: 0, segments: 0, batches: 0, files: 0 };
    const cutoff = await this.cutoff();
    const result = { isDryRun: this.config.dryRun, dueRows: 0, cutoff };
    if (cutoff === null) return { ...counts, ...result };
    const anchor = await this.segments.newestAnchor();
    if (this.config.dryRun) return { ...counts, ...result, dueRows: await this.countDue(anchor, cutoff, guard) };

    const first = await this.nextChunk(anchor, cutoff);
    const isUnfinished = anchor !== null && (await this.segments.idsThrough(anchor._id, 1)).length > 0;
    if (first.length === 0 && !isUnfinished) return { ...counts, ...result };
    const runId = this.random.uuid();
    await this.tell(runId, 'audit.prune.begin', { cutoff: cutoff.toISOString() });
    try {
      await this.pruneChunks(anchor, cutoff, runId, counts, guard);
    } catch (error) {
      await this.tell(runId, 'audit.prune.end', { ...counts }, failureOf(error, guard)).catch((unwritten: unknown) => {
        this.log.error({
          message: 'how far retention came is not in the audit log',
          runId,
          ...counts,
          error: unwritten,
        });
      });
      throw error;
    }
    await this.tell(runId, 'audit.prune.end', { ...counts });
    this.log.log({ message: 'old audit rows were removed', runId, cutoff, ...counts });
    return { ...counts, ...result };
  }

  private async pruneChunks(
    begun: AuditAnchor | null,
    cutoff: Date,
    runId: string,
    counts: Counts,
    guard: SweepGuard,
  ): Promise<void> {
    let anchor = begun;
    if (anchor) await this.remove(anchor._id, counts, guard);
    for (;;) {
      mayGoOn(guard);
      const chunk = await this.nextChunk(anchor, cutoff);
      const next = this.anchorOf(anchor, chunk, runId, await this.time.read());
      if (!next) return;
      await this.export(chunk, counts, guard);
      mayGoOn(guard);
      // Another process leads by now.
      if (!(await this.segments.insertAnchor(next))) return;
      anchor = next;
      counts.segments += chunk.length;
      await this.remove(next._id, counts, guard);
    }
  }

  /** The oldest segments, as far as all of them are due. */
  private async nextChunk(anchor: AuditAnchor | null, cutoff: Date): Promise<AuditSegment[]> {
    const from = (anchor?._id ?? 0) + 1;
    const oldest = await this.segments.range(from, from + CHUNK_SEGMENTS - 1, CHUNK_SEGMENTS);
    const chunk: AuditSegment[] = [];
    let rows = 0;
    let previous = anchor?.segmentTag;
    for (const segment of oldest) {
      if (segment.newestAt >= cutoff || segment.pending !== null) break;
      rows += segment.count;
      if (chunk.length > 0 && rows > CHUNK_ROWS) break;
      const isNext = segment._id === from + chunk.length && (previous === undefined || segment.previous === previous);
      if (!isNext || this.chain.check('segment', segment) === 'invalid') throw new AuditChainBroken(segment._id);
      previous = segment.tag;
      chunk.push(segment);
    }
    return chunk;
  }

  private anchorOf(
    anchor: AuditAnchor | null,
    chunk: readonly AuditSegment[],
    runId: string,
    at: Date,
  ): AuditAnchor | undefined {
    const last = chunk.at(-1);
    if (!last) return undefined;
    const content = {
      _id: last._id,
      segmentTag: last.tag,
      segments: (anchor?.segments ?? 0) + chunk.length,
      rows: (anchor?.rows ?? 0) + chunk.reduce((rows, { count }) => rows + count, 0),
      newestAt: new Date(Math.max(...chunk.map(({ newestAt }) => newestAt.getTime()))),
      runId,
      at,
    };
    return { ...content, tag: this.chain.tagOf('anchor', content) };
  }

  private async export(chunk: readonly AuditSegment[], counts: Counts, { signal }: SweepGuard): Promise<void> {
    const [first, last] = [chunk.at(0), chunk.at(-1)];
    const { exportDir } = this.config;
    if (exportDir === undefined || !first || !last) return;
    const file = await exportAuditRows(exportDir, chunk, this.segments.rowsOf(first._id, last._id), signal);
    counts.files += 1;
    this.log.log({ message: 'audit rows were exported', file, from: first._id, to: last._id });
  }

  private async remove(through: number, counts: Counts, guard: SweepGuard): Promise<void> {
    for (;;) {
      mayGoOn(guard);
      const ids = await this.segments.idsThrough(through, RETENTION_BATCH);
      if (ids.length === 0) break;
      for (let at = 0; at < ids.length; at += REMOVED_AT_ONCE) {
        mayGoOn(guard);
        const begun = this.clock.monotonic();
        const removed = await this.segments.removeRows(ids.slice(at, at + REMOVED_AT_ONCE), through);
        counts.rows += removed;
        this.metrics.pruned(removed);
        // Half of the time the database is free for others.
        const restMs = this.clock.monotonic() - begun;
        if (restMs > 0) await this.clock.sleep(restMs, guard.signal);
      }
      counts.batches += 1;
      await this.clock.sleep(PAUSE_MS, guard.signal);
    }
    mayGoOn(guard);
    await this.segments.removeSegments(through);
  }

  private async countDue(anchor: AuditAnchor | null, cutoff: Date, guard: SweepGuard): Promise<number> {
    let rows = 0;
    let from = (anchor?._id ?? 0) + 1;
    for (;;) {
      mayGoOn(guard);
      const segments = await this.segments.range(from, from + CHUNK_SEGMENTS - 1, CHUNK_SEGMENTS);
      const due = segments.findIndex(({ newestAt, pending }) => newestAt >= cutoff || pending !== null);
      const counted = due < 0 ? segments : segments.slice(0, due);
      rows += counted.reduce((sum, { count }) => sum + count, 0);
      if (due >= 0 || segments.length < CHUNK_SEGMENTS) return rows;
      from += CHUNK_SEGMENTS;
    }
  }

  private async cutoff(): Promise<Date | null> {
    const { retentionMs, legalHold } = this.config;
    if (legalHold === 'all') return null;
    const age = (await this.time.read()).getTime() - retentionMs;
    return new Date(Math.min(age, legalHold?.getTime() ?? Infinity));
  }

  private tell(runId: string, action: string, detail: AuditDetail, reason?: string): Promise<void> {
    return this.auditLog.append({
      tenantId: '*',
      actor: { kind: 'subsystem', id: 'audit-retention' },
      action,
      target: { type: 'audit.prune', id: runId },
      outcome: reason === undefined ? 'success' : 'failure',
      ...(reason === undefined ? {} : { reason }),
      detail,
    });
  }
}

function failureOf(error: unknown, { signal }: SweepGuard): string {
  if (signal.aborted) return 'aborted';
  return error instanceof AuditChainBroken ? 'chain_broken' : 'failed';
}
