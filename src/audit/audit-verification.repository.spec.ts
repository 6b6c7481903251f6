import '../../test/support/quiet-logger.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type mongo, Types } from 'mongoose';
import {
  type AuditRoom,
  HELD,
  NEVER,
  auditEntry,
  newSealingKey,
  openAuditRoom,
} from '../../test/support/audit-room.js';

const COLLECTIONS = ['audit_logs', 'audit_segments', 'audit_heads', 'audit_anchors'] as const;
const SEGMENTS = 5;
const ROWS = 4;

let room: AuditRoom;
let written: ReadonlyMap<string, mongo.Document[]>;

beforeAll(async () => {
  room = await openAuditRoom();
  const actions = Array.from({ length: SEGMENTS }, (_, segment) =>
    Array.from({ length: ROWS }, (__, row) => `deed.${segment + 1}.${row}`),
  );
  await room.fill(actions);
  const read = COLLECTIONS.map(
    async (name) => [name, await room.db.collection(name).find({}).sort({ _id: 1 }).toArray()] as const,
  );
  written = new Map(await Promise.all(read));
});
afterAll(() => room.close());

beforeEach(restore);

async function restore(): Promise<void> {
  for (const [name, documents] of written) {
    await room.db.collection(name).deleteMany({});
    if (documents.length > 0) await room.db.collection(name).insertMany(documents);
  }
}

const rows = () => room.db.collection('audit_logs');
const segments = () => room.db.collection<{ _id: number }>('audit_segments');

/** The id of a row: numbers count from 0 over all sealed rows. */
function rowId(index: number): Types.ObjectId {
  const row = written.get('audit_logs')?.[index];
  if (!row) throw new Error(`there is no row ${index}`);
  return row['_id'] as Types.ObjectId;
}

const segmentOf = (index: number): number => Math.floor(index / ROWS) + 1;

type Tamper = { readonly name: string; readonly segment: number; readonly apply: () => Promise<unknown> };

const rowIndex = fc.nat(SEGMENTS * ROWS - 1);
const segmentNumber = fc.integer({ min: 1, max: SEGMENTS });
const FIELDS: ReadonlyArray<readonly [string, unknown]> = [
  ['actor.id', 'eve'],
  ['actor.kind', 'agent'],
  ['action', 'nothing.happened'],
  ['tenantId', 'other'],
  ['at', new Date(0)],
  ['at', 'yesterday'],
  ['outcome', 'failure'],
  ['target', { type: 'agent', id: '1' }],
  ['detail', { rows: 1 }],
  ['status', 200],
  ['note', 'added'],
  ['tag', 'v1.00000000.x'],
];

const tampering: fc.Arbitrary<Tamper> = fc.oneof(
  fc.tuple(rowIndex, fc.constantFrom(...FIELDS)).map(([index, [field, value]]) => ({
    name: `edit ${field} of row ${index}`,
    segment: segmentOf(index),
    apply: () => rows().updateOne({ _id: rowId(index) }, { $set: { [field]: value } }),
  })),
  rowIndex.map((index) => ({
    name: `remove row ${index}`,
    segment: segmentOf(index),
    apply: () => rows().deleteOne({ _id: rowId(index) }),
  })),
  rowIndex.map((index) => ({
    name: `copy row ${index}`,
    segment: segmentOf(index),
    apply: async () => {
      const row = await rows().findOne({ _id: rowId(index) });
      await rows().insertOne({ ...row, _id: new Types.ObjectId() });
    },
  })),
  fc.tuple(rowIndex, fc.constantFrom(null, 0, 0.5, -1, 1.5, 999, 'x', true)).map(([index, mark]) => ({
    name: `mark row ${index} with ${String(mark)}`,
    segment: segmentOf(index),
    apply: () => rows().updateOne({ _id: rowId(index) }, { $set: { segment: mark } }),
  })),
  fc
    .tuple(rowIndex, segmentNumber)
    .filter(([index, to]) => segmentOf(index) !== to)
    .map(([index, to]) => ({
      name: `move row ${index} to segment ${to}`,
      segment: Math.min(segmentOf(index), to),
      apply: () => rows().updateOne({ _id: rowId(index) }, { $set: { segment: to } }),
    })),
  segmentNumber.map((number) => ({
    name: `remove segment ${number} without its rows`,
    segment: number,
    apply: () => segments().deleteOne({ _id: number }),
  })),
  segmentNumber.map((number) => ({
    name: `remove segment ${number} with its rows`,
    segment: number,
    apply: () => Promise.all([segments().deleteOne({ _id: number }), rows().deleteMany({ segment: number })]),
  })),
  segmentNumber.map((number) => ({
    name: `cut the tail from segment ${number}`,
    segment: number,
    apply: () =>
      Promise.all([segments().deleteMany({ _id: { $gte: number } }), rows().deleteMany({ segment: { $gte: number } })]),
  })),
  fc
    .tuple(segmentNumber, fc.constantFrom('count', 'hash', 'previous', 'newestAt', 'sealedAt'))
    .map(([number, field]) => ({
      name: `edit ${field} of segment ${number}`,
      segment: number,
      apply: () => segments().updateOne({ _id: number }, { $set: { [field]: 3 } }),
    })),
);

describe('verification', () => {
  it('finds nothing where nothing was changed', async () => {
    expect(await room.verify()).toMatchObject({
      status: 'intact',
      firstBadSegment: null,
      findings: [],
      from: 1,
      to: SEGMENTS,
      rows: SEGMENTS * ROWS,
      newest: { segment: SEGMENTS },
    });
  });

  it('finds every change, and no segment before the first that was changed', async () => {
    await fc.assert(
      fc.asyncProperty(tampering, async ({ segment, apply }) => {
        await restore();
        await apply();
        const verdict = await room.verify();
        expect(verdict.status).toBe('broken');
        expect(verdict.firstBadSegment).toBe(segment);
      }),
      { numRuns: 200 },
    );
  }, 120_000);

  it('finds all changes that were made together', async () => {
    await fc.assert(
      fc.asyncProperty(fc.uniqueArray(rowIndex, { minLength: 1, maxLength: 5 }), async (indexes) => {
        await restore();
        await rows().updateMany({ _id: { $in: indexes.map(rowId) } }, { $set: { action: 'x' } });
        const { findings } = await room.verify();
        const found = findings.flatMap(({ rowIds }) => rowIds).toSorted();
        expect(found).toEqual(indexes.map((index) => rowId(index).toHexString()).toSorted());
      }),
      { numRuns: 30 },
    );
  }, 60_000);

  it('names the row that was changed', async () => {
    await rows().updateOne({ _id: rowId(6) }, { $set: { 'actor.id': 'eve' } });
    expect(await room.verify()).toMatchObject({
      status: 'broken',
      firstBadSegment: 2,
      findings: [{ segment: 2, problem: 'row_not_authentic', rowIds: [rowId(6).toHexString()] }],
    });
  });

  it('finds a row that was made up, before and after it is sealed', async () => {
    const { _id, ...row } = written.get('audit_logs')?.[0] ?? {};
    expect(_id).toBeDefined();
    await rows().insertOne({ ...row, segment: null });
    expect((await room.verify()).findings).toMatchObject([{ segment: null, problem: 'row_not_authentic' }]);
    await room.sealing.seal(HELD);
    expect((await room.verify()).findings).toMatchObject([{ segment: SEGMENTS + 1, problem: 'row_not_authentic' }]);
  });

  it('still shows the gap of a cut tail after new rows were sealed', async () => {
    await segments().deleteMany({ _id: { $gte: 4 } });
    await rows().deleteMany({ segment: { $gte: 4 } });
    await room.log.append(auditEntry('later'));
    await room.sealing.seal(HELD);
    const { findings, firstBadSegment } = await room.verify();
    expect(firstBadSegment).toBe(4);
    expect(findings.map(({ segment, problem }) => [segment, problem])).toEqual([
      [4, 'segment_missing'],
      [5, 'segment_missing'],
    ]);
  });

  it('finds a row whose place another took that the service did write', async () => {
    await room.log.append(auditEntry('stand-in'));
    await rows().deleteOne({ _id: rowId(5) });
    await rows().updateOne({ action: 'stand-in' }, { $set: { segment: 2 } });
    expect((await room.verify()).findings).toEqual([{ segment: 2, problem: 'rows_replaced', rowIds: [] }]);
  });

  it('finds a segment of another history that was put back', async () => {
    const last = { segment: SEGMENTS };
    const other = await segments().findOne({ _id: SEGMENTS });
    const otherRows = await rows().find(last).toArray();
    const before = written.get('audit_segments')?.[SEGMENTS - 2];
    await segments().deleteOne({ _id: SEGMENTS });
    await rows().deleteMany(last);
    const head = { _id: 'head', segment: SEGMENTS - 1, segmentTag: String(before?.['tag']) } as const;
    await room.db.collection<{ _id: string }>('audit_heads').deleteMany({});
    await room.segments.advanceHead({ ...head, tag: room.chain.tagOf('head', head) });
    await room.fill([['what really happened'], ['and after it']]);
    expect((await room.verify()).status).toBe('intact');
    await segments().deleteOne({ _id: SEGMENTS });
    await rows().deleteMany(last);
    await segments().insertOne(other as { _id: number });
    await rows().insertMany(otherRows);
    expect((await room.verify()).findings).toEqual([
      { segment: SEGMENTS + 1, problem: 'segment_unlinked', rowIds: [] },
    ]);
  });

  it('finds a removed head', async () => {
    await room.db.collection('audit_heads').deleteMany({});
    expect((await room.verify()).findings).toMatchObject([{ problem: 'head_changed' }]);
  });

  it('finds an anchor that somebody made up to hide the oldest segments', async () => {
    const [, second] = written.get('audit_segments') ?? [];
    await rows().deleteMany({ segment: { $lte: 2 } });
    await segments().deleteMany({ _id: { $lte: 2 } });
    const forged = { segmentTag: String(second?.['tag']), segments: 2, rows: 8, newestAt: new Date(0) };
    const anchor = { _id: 2, ...forged, runId: 'r', at: new Date(0), tag: String(second?.['tag']) };
    await room.segments.insertAnchor(anchor);
    expect((await room.verify()).findings).toMatchObject([{ segment: 2, problem: 'anchor_changed' }]);
  });

  it('looks at the segments asked for', async () => {
    await rows().updateOne({ _id: rowId(0) }, { $set: { action: 'x' } });
    const verdict = await room.verification.verify({ from: 2, to: 3 }, NEVER);
    expect(verdict).toMatchObject({ status: 'intact', from: 2, to: 3, segments: 2, rows: 2 * ROWS });
    expect(await room.verification.verify({ from: 1, to: 1 }, NEVER)).toMatchObject({ firstBadSegment: 1 });
    expect(await room.verification.verify({ from: 99 }, NEVER)).toMatchObject({ status: 'intact', segments: 0 });
  });

  it('ends when nobody waits for it any more', async () => {
    const gone = AbortSignal.abort(new Error('gone'));
    await expect(room.verification.verify({}, gone)).rejects.toThrow('gone');
  });

  it('decides nothing without the key, and says so', async () => {
    const verdict = await room.withKeys(newSealingKey()).verification.verify({}, NEVER);
    expect(verdict.status).toBe('undecided');
  });
});
