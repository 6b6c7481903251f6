import type { SweepGuard } from '../../src/leader-election/sweep-guard.ts';
import type { RetentionResult } from '../../src/audit/audit-retention.ts';
import { type InProcessService, room } from './in-process-service.ts';

export const AUDIT_ROWS = Number(process.env.BENCH_AUDIT_ROWS ?? 1_000_000);
const SEGMENT_ROWS = 10_000;
const INSERTED_AT_ONCE = 2_000;
const TWO_YEARS_MS = 730 * 86_400_000;
/** Between two rows. */
const STEP_MS = 1_000;

export interface OldAuditLog {
  count(): Promise<number>;
  /** Removes the newest of them, each by a command of its own; ms. Retention finds its segments shorter than sealed. */
  removeOneByOne(count: number): Promise<number>;
  prune(guard: SweepGuard): Promise<RetentionResult>;
}

/** As many rows as two years ago would have left, sealed by segments that the chain of the service accepts. */
export async function oldAuditLog(service: InProcessService, rows: number): Promise<OldAuditLog> {
  const { AuditChain, GENESIS } = await room<typeof import('../../src/audit/audit-chain.ts')>('audit/audit-chain');
  const { AuditRetention } = await room<typeof import('../../src/audit/audit-retention.ts')>('audit/audit-retention');
  const { auditRow } = await room<typeof import('../../src/audit/audit-row.ts')>('audit/audit-row');
  const { AUDIT_ROW_PURPOSE } = await room<typeof import('../../src/audit/audit-log.ts')>('audit/audit-log');
  const { SegmentDigest } = await room<typeof import('../../src/audit/segment-digest.ts')>('audit/segment-digest');
  const { AuditCollections } =
    await room<typeof import('../../src/audit/audit-collections.ts')>('audit/audit-collections');
  const { AuditSegmentsRepository } = await room<typeof import('../../src/audit/audit-segments.repository.ts')>(
    'audit/audit-segments.repository',
  );
  const { Authenticators } = await room<typeof import('../../src/sealing/index.ts')>('sealing/index');
  const { of } = service;
  const [chain, segments, collections] = [of(AuditChain), of(AuditSegmentsRepository), of(AuditCollections)];
  const authenticator = of(Authenticators).of(AUDIT_ROW_PURPOSE);
  const begin = Date.now() - TWO_YEARS_MS;
  const entry = (index: number) => ({
    tenantId: 'default',
    actor: { kind: 'user' as const, id: 'bench' },
    action: 'job.create',
    target: { type: 'job', id: index.toString(16).padStart(24, '0') },
    outcome: 'success' as const,
    request: { method: 'POST', route: '/api/v1/jobs', status: 201, requestId: `request-${index}` },
    at: new Date(begin + index * STEP_MS),
  });

  let previous = GENESIS;
  for (let from = 0, number = 1; from < rows; from += SEGMENT_ROWS, number += 1) {
    const count = Math.min(SEGMENT_ROWS, rows - from);
    const some = Array.from({ length: count }, (_, k) => auditRow(entry(from + k), new Date(begin), authenticator));
    const digest = new SegmentDigest();
    for (const row of some.toSorted((a, b) => Buffer.compare(a._id.id, b._id.id))) digest.add(row);
    const summary = digest.summary();
    if (!summary) throw new Error('a segment without rows');
    const content = { _id: number, ...summary, sealedAt: summary.newestAt, previous };
    const segment = { ...content, tag: chain.tagOf('segment', content), pending: null };
    previous = segment.tag;
    for (let at = 0; at < count; at += INSERTED_AT_ONCE) {
      const marked = some.slice(at, at + INSERTED_AT_ONCE).map((row) => ({ ...row, segment: number }));
      await collections.rows.insertMany(marked, { ordered: false });
    }
    await segments.insert(segment);
  }

  return {
    count: () => collections.rows.countDocuments({ at: { $lt: new Date(begin + TWO_YEARS_MS / 2) } }),
    async removeOneByOne(count) {
      const found = collections.rows.find({}, { projection: { _id: 1 } }).sort({ segment: -1, _id: -1 });
      const ids = await found.limit(count).toArray();
      const start = performance.now();
      for (const { _id } of ids) await collections.rows.deleteOne({ _id });
      return performance.now() - start;
    },
    prune: (guard) => of(AuditRetention).prune(guard),
  };
}
