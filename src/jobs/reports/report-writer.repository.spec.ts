import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type JobRoom, PLATFORM_AGENT, agent, makeJobs, openJobRoom } from '../../../test/support/job-room.js';
import { ADMIN } from '../../../test/support/tenant-room.js';

const ERROR = { code: null, message: 'x' };

let room: JobRoom;
beforeAll(async () => {
  room = await openJobRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

describe('reports that come together', () => {
  it('each get the answer that they would have got alone', async () => {
    const other = agent('q', '*');
    await room.add({}, 60);
    const mine = await room.claim(PLATFORM_AGENT, { capacity: 50 });
    const [foreign] = await room.claim(other);
    const outcomes = await Promise.all(
      mine.map(async ({ id, lease: { token } }, index) => {
        const report = [
          () => room.reports.complete(PLATFORM_AGENT, id, token, null),
          () => room.reports.complete(PLATFORM_AGENT, id, token, { index }),
          () => room.reports.fail(PLATFORM_AGENT, id, token, ERROR, false),
          () => room.reports.complete(PLATFORM_AGENT, id, `${token}x`, null),
          () => room.reports.progress(PLATFORM_AGENT, id, token, { percent: 1 }),
          () => room.reports.start(other, id, foreign?.lease.token ?? ''),
        ][index % 6];
        return report?.().then(
          () => 'accepted',
          (error: { code: string }) => error.code,
        );
      }),
    );
    const expected = ['accepted', 'accepted', 'accepted', 'job.lease_lost', 'job.not_transitionable', 'job.lease_lost'];
    expect(outcomes).toEqual(mine.map((_, index) => expected[index % 6]));
    for (const [index, { id }] of mine.entries()) {
      const states = ['completed', 'completed', 'failed', 'claimed', 'claimed', 'claimed'];
      const job = await room.service.get(ADMIN, id);
      expect([index, job.state]).toEqual([index, states[index % 6]]);
      if (index % 6 === 1) expect(job.result).toEqual({ index });
    }
  });

  it('of one job are taken one after the other: start, progress and completion at once all hold', async () => {
    await room.add({}, 5);
    const jobs = await room.claim(PLATFORM_AGENT, { capacity: 5 });
    await Promise.all(
      jobs.flatMap(({ id, lease: { token } }) => [
        room.reports.start(PLATFORM_AGENT, id, token),
        room.reports.progress(PLATFORM_AGENT, id, token, { percent: 50 }),
        room.reports.complete(PLATFORM_AGENT, id, token, 'done'),
      ]),
    );
    const stored = await room.collection.documents.find().toArray();
    expect(stored.map(({ state, version, progress }) => [state, version, progress?.percent])).toEqual(
      jobs.map(() => ['completed', 5, 50]),
    );
  });

  it('of two replicas on one job: one end is accepted', async () => {
    const replica = makeJobs(room.database, room.clock);
    await room.add({}, 20);
    const jobs = await room.claim(PLATFORM_AGENT, { capacity: 20 });
    const ends = await Promise.all(
      jobs.map(async ({ id, lease: { token } }) =>
        Promise.allSettled([
          room.reports.complete(PLATFORM_AGENT, id, token, 'here'),
          replica.reports.fail(PLATFORM_AGENT, id, token, ERROR, false),
        ]),
      ),
    );
    for (const outcomes of ends) expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    const stored = await room.collection.documents.find().toArray();
    for (const { state, result, history } of stored) {
      expect(history.filter(({ event }) => event === 'complete' || event === 'fail')).toHaveLength(1);
      expect(result).toBe(state === 'completed' ? '"here"' : null);
    }
  });
});
