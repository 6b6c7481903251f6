import '../../test/support/quiet-logger.js';
import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type AuditRoom, DAY_MS, HELD, auditEntry, openAuditRoom } from '../../test/support/audit-room.js';

const YEAR_MS = 365 * DAY_MS;

let room: AuditRoom;
let exportDir: string;
beforeAll(async () => {
  room = await openAuditRoom();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.clear();
  exportDir = await mkdtemp(join(tmpdir(), 'crowsnest-export-'));
});
afterEach(() => rm(exportDir, { recursive: true, force: true }));

const ago = (days: number): Date => new Date(room.clock.now() - days * DAY_MS);

/** One segment for each list of ages in days. */
async function fill(...segments: ReadonlyArray<readonly number[]>): Promise<void> {
  for (const ages of segments) {
    for (const days of ages) await room.log.append(auditEntry(`deed.${days}`, { at: ago(days) }));
    await room.sealing.seal(HELD);
  }
}

/** What is left of what `fill` wrote. */
async function actions(): Promise<string[]> {
  const rows = await room.collections.rows.find({ action: /^deed/ }).sort({ _id: 1 }).toArray();
  return rows.map(({ action }) => action);
}

const deeds = async () =>
  room.collections.rows
    .find({ action: /^audit\.prune/ })
    .sort({ _id: 1 })
    .toArray();

describe('retention', () => {
  it('removes whole segments that are old enough, and what is left still verifies from the anchor', async () => {
    await fill([400, 399], [380], [370, 360], [1]);
    const result = await room.retention().prune(HELD);
    expect(result).toMatchObject({ rows: 3, segments: 2, isDryRun: false });
    // 370 days are too many, but its segment holds a row of 360.
    expect(await actions()).toEqual(['deed.370', 'deed.360', 'deed.1']);
    expect(await room.segments.newestAnchor()).toMatchObject({ _id: 2, segments: 2, rows: 3 });
    expect(await room.segments.find(2)).toBeNull();
    expect(await room.verify()).toMatchObject({ status: 'intact', from: 3, anchor: { segment: 2, rows: 3 } });
    await room.sealing.seal(HELD);
    expect(await room.verify()).toMatchObject({ status: 'intact', to: 5 });
  });

  it('tells the log what it is about to do and what it did, by one id', async () => {
    await fill([400], [1]);
    await room.retention().prune(HELD);
    const [begin, end, ...more] = await deeds();
    expect(more).toEqual([]);
    expect(begin).toMatchObject({ action: 'audit.prune.begin', actor: { kind: 'subsystem', id: 'audit-retention' } });
    expect(end).toMatchObject({ action: 'audit.prune.end', outcome: 'success', detail: { rows: 1, segments: 1 } });
    expect(end?.target).toEqual(begin?.target);
  });

  it('does and tells nothing when nothing is due', async () => {
    await fill([300], [1]);
    expect(await room.retention().prune(HELD)).toMatchObject({ rows: 0, segments: 0 });
    expect(await deeds()).toEqual([]);
    expect(await room.segments.newestAnchor()).toBeNull();
  });

  it('counts, in a dry run, and removes nothing', async () => {
    await fill([400, 399], [380], [1]);
    const result = await room.retention({ dryRun: true }).prune(HELD);
    expect(result).toMatchObject({ rows: 0, segments: 0, isDryRun: true, dueRows: 3 });
    expect(await actions()).toHaveLength(4);
    expect(await room.segments.newestAnchor()).toBeNull();
  });

  it('stops at a legal hold', async () => {
    await fill([500], [450], [400]);
    await room.retention({ legalHold: ago(460) }).prune(HELD);
    expect(await actions()).toEqual(['deed.450', 'deed.400']);
    expect(await room.retention({ legalHold: 'all' }).prune(HELD)).toMatchObject({ rows: 0, cutoff: null });
    expect(await actions()).toEqual(['deed.450', 'deed.400']);
    // A hold of what is younger than the age anyway does not make anything due.
    await room.retention({ legalHold: ago(1), retentionMs: 2 * YEAR_MS }).prune(HELD);
    expect(await actions()).toEqual(['deed.450', 'deed.400']);
  });

  it('writes what it removes as JSON Lines before', async () => {
    await fill([400, 399], [380], [1]);
    await room.retention({ exportDir }).prune(HELD);
    expect(await readdir(exportDir)).toEqual(['audit-0000000001-0000000002.jsonl']);
    const text = await readFile(join(exportDir, 'audit-0000000001-0000000002.jsonl'), 'utf8');
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { segment?: { _id: number }; row?: { action: string } });
    expect(lines.map(({ segment, row }) => segment?._id ?? row?.action)).toEqual([
      1,
      2,
      'deed.400',
      'deed.399',
      'deed.380',
    ]);
  });

  it('removes nothing that could not be exported', async () => {
    await fill([400], [1]);
    const file = join(exportDir, 'file');
    await writeFile(file, '');
    await expect(room.retention({ exportDir: file }).prune(HELD)).rejects.toThrow();
    expect(await actions()).toHaveLength(2);
    expect(await room.segments.newestAnchor()).toBeNull();
    const [, end] = await deeds();
    expect(end).toMatchObject({ action: 'audit.prune.end', outcome: 'failure', reason: 'failed' });
  });

  it('does not write half an export over a whole one', async () => {
    await fill([400, 399], [1]);
    await room.collections.rows.deleteOne({ action: 'deed.399' });
    const path = join(exportDir, 'audit-0000000001-0000000001.jsonl');
    await writeFile(path, 'whole');
    await expect(room.retention({ exportDir }).prune(HELD)).rejects.toThrow('not there');
    expect(await readFile(path, 'utf8')).toBe('whole');
    expect(await readdir(exportDir)).toHaveLength(1);
    expect(await actions()).toEqual(['deed.400', 'deed.1']);
  });

  it('removes nothing from a chain that was tampered with', async () => {
    await fill([400], [390], [1]);
    await room.db.collection<{ _id: number }>('audit_segments').updateOne({ _id: 2 }, { $set: { count: 0 } });
    await expect(room.retention().prune(HELD)).rejects.toThrow('segment 2');
    expect(await actions()).toHaveLength(3);
  });

  it('ends between two commands when it is aborted, and the next run finishes what the anchor decided', async () => {
    await fill([400, 399], [380], [1]);
    const aborter = new AbortController();
    const segments = Object.assign(Object.create(room.segments) as typeof room.segments, {
      insertAnchor: async (anchor: Parameters<typeof room.segments.insertAnchor>[0]) => {
        const inserted = await room.segments.insertAnchor(anchor);
        aborter.abort(new Error('stopped'));
        return inserted;
      },
    });
    await expect(room.retention({}, segments).prune({ ...HELD, signal: aborter.signal })).rejects.toThrow('stopped');
    expect(await actions()).toHaveLength(4);
    expect(await room.verify()).toMatchObject({ status: 'intact', from: 3 });
    const [, end] = await deeds();
    expect(end).toMatchObject({ outcome: 'failure', reason: 'aborted' });
    expect(await room.retention().prune(HELD)).toMatchObject({ rows: 3, segments: 0 });
    expect(await actions()).toEqual(['deed.1']);
    expect(await room.verify()).toMatchObject({ status: 'intact', from: 3 });
  });

  it('removes many in batches, with a pause after each', async () => {
    for (let index = 0; index < 9_999; index += 1) room.log.record(auditEntry('old', { at: ago(400) }));
    await fill([400], [400, 400], [1]);
    const before = room.clock.pauses;
    expect(await room.retention().prune(HELD)).toMatchObject({ rows: 10_002, segments: 2, batches: 2 });
    expect(room.clock.pauses - before).toBe(2);
    expect(await actions()).toEqual(['deed.1']);
    expect(await room.verify()).toMatchObject({ status: 'intact' });
  }, 60_000);

  it('and sealing may go on while the log is verified', async () => {
    let isWriting = true;
    let pruned = 0;
    const write = async (): Promise<void> => {
      for (let round = 0; round < 25; round += 1) {
        await fill([1, 1], [1], [1]);
        if (round % 5 !== 4) continue;
        await room.clock.advance(YEAR_MS + DAY_MS);
        pruned += (await room.retention().prune(HELD)).segments;
      }
      isWriting = false;
    };
    const verify = async (): Promise<number> => {
      let verified = 0;
      for (; isWriting; verified += 1) expect((await room.verify()).findings).toEqual([]);
      return verified;
    };
    const [, verified] = await Promise.all([write(), verify()]);
    expect(verified).toBeGreaterThan(5);
    expect(pruned).toBeGreaterThan(50);
    expect(await room.verify()).toMatchObject({ status: 'intact' });
  }, 60_000);
});
