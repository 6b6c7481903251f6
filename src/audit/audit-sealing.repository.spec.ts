import '../../test/support/quiet-logger.js';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Types } from 'mongoose';
import { type AuditRoom, HELD, auditEntry, openAuditRoom } from '../../test/support/audit-room.js';
import type { AuditHead } from './audit-chain.js';
import { AuditSealing } from './audit-sealing.js';

let room: AuditRoom;
beforeAll(async () => {
  room = await openAuditRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const marks = async (): Promise<unknown[]> =>
  (await room.collections.rows.find({}).sort({ _id: 1 }).toArray()).map(({ segment }) => segment);

describe('sealing', () => {
  it('puts every row into one segment, linked to the one before', async () => {
    await room.fill([['a', 'b'], ['c'], []]);
    expect(await marks()).toEqual([1, 1, 2]);
    const [first, second] = await room.segments.range(1, 9, 9);
    expect(first).toMatchObject({ count: 2, previous: 'genesis', pending: null });
    expect(second).toMatchObject({ count: 1, previous: first?.tag });
    expect(await room.segments.head()).toMatchObject({ segment: 2, segmentTag: second?.tag });
    expect(await room.verify()).toMatchObject({ status: 'intact', segments: 2, rows: 3, unsealedRows: 0 });
  });

  it('puts a row that comes late into the next segment, whatever its id', async () => {
    await room.fill([['a', 'b']]);
    await room.log.append(auditEntry('late', { at: new Date(room.clock.now() - 600_000) }));
    await room.sealing.seal(HELD);
    expect(await marks()).toEqual([2, 1, 1]);
    expect(await room.verify()).toMatchObject({ status: 'intact', rows: 3 });
  });

  it('is finished by the next leader when a process ends in between, at whatever write', async () => {
    for (const write of ['mark', 'settle', 'advanceHead'] as const) {
      await room.clear();
      await room.fill([['a']]);
      await room.log.append(auditEntry('b'));
      const failing = Object.assign(Object.create(room.segments) as typeof room.segments, {
        [write]: (what: number | AuditHead) =>
          // Of what was sealed before, there is nothing left to do but to look at the head once more.
          typeof what === 'object' && what.segment === 1
            ? room.segments.advanceHead(what)
            : Promise.reject(new Error('killed')),
      });
      const time = { read: () => Promise.resolve(new Date(room.clock.now())) };
      const killed = new AuditSealing(failing, room.chain, { sealed: () => {}, newest: () => {} } as never, time);
      await expect(killed.seal(HELD)).rejects.toThrow('killed');
      expect([write, (await room.verify()).findings]).toEqual([write, []]);
      await room.log.append(auditEntry('c'));
      await room.sealing.seal(HELD);
      expect([write, await marks()]).toEqual([write, [1, 2, 3]]);
      expect(await room.verify()).toMatchObject({ status: 'intact', segments: 3, rows: 3 });
    }
  });

  it('by a late leader changes nothing that the new one has done', async () => {
    await room.fill([['a']]);
    await room.log.append(auditEntry('b'));
    // Paused after it has read, before it writes; the new leader seals meanwhile.
    const paused = Object.assign(Object.create(room.segments) as typeof room.segments, {
      insert: async (segment: Parameters<typeof room.segments.insert>[0]) => {
        await room.log.append(auditEntry('c'));
        await room.sealing.seal(HELD);
        return room.segments.insert(segment);
      },
    });
    const time = { read: () => Promise.resolve(new Date(room.clock.now())) };
    const late = new AuditSealing(paused, room.chain, { sealed: () => {}, newest: () => {} } as never, time);
    expect(await late.seal(HELD)).toMatchObject({ rows: 0 });
    expect(await marks()).toEqual([1, 2, 2]);
    expect(await room.verify()).toMatchObject({ status: 'intact', segments: 2, rows: 3 });
  });

  it('stops as soon as the lead is lost', async () => {
    await room.log.append(auditEntry('a'));
    const lease = {
      assertHeld: () => {
        throw new Error('lost');
      },
    };
    await expect(room.sealing.seal({ ...HELD, lease })).rejects.toThrow('lost');
    expect(await marks()).toEqual([null]);
  });

  it('splits what is more than a segment takes', async () => {
    for (let index = 0; index < 9_999; index += 1) room.log.record(auditEntry('many'));
    await room.log.append(auditEntry('and'));
    await room.log.append(auditEntry('one more'));
    expect(await room.sealing.seal(HELD)).toEqual({ rows: 10_001, segments: 2, newest: 2 });
    expect(await room.verify()).toMatchObject({ status: 'intact', segments: 2, rows: 10_001, unsealedRows: 0 });
  }, 60_000);

  it('goes on in spite of a row that somebody put in with another kind of id', async () => {
    await room.db.collection('audit_logs').insertOne({ _id: 'x' as unknown as Types.ObjectId, segment: null });
    await room.fill([['a']]);
    const { findings, segments } = await room.verify();
    expect(segments).toBe(1);
    expect(findings).toEqual([{ segment: null, problem: 'row_not_authentic', rowIds: ['x'] }]);
  });
});
