import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type JobRoom, PLATFORM_AGENT, agent, openJobRoom } from '../../test/support/job-room.js';
import { ADMIN } from '../../test/support/tenant-room.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const OTHER_AGENT = agent('q', '*');

let room: JobRoom;
beforeAll(async () => {
  room = await openJobRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const get = (id: string) => room.service.get(ADMIN, id);

describe("jobs when the server's time is set", () => {
  it('10 minutes forward: a job is tried again too early, and only the later agent may complete it', async () => {
    await room.add();
    const first = await room.claimOne(PLATFORM_AGENT);
    room.clock.jump(10 * MINUTE);
    expect((await room.sweep()).counts).toMatchObject({ released: 1, expired: 0 });
    await room.clock.advance(10 * SECOND);
    await room.sweep();
    const second = await room.claimOne(OTHER_AGENT);
    expect(second.id).toBe(first.id);
    const late = room.reports.complete(PLATFORM_AGENT, first.id, first.token, 'late');
    await expect(late).rejects.toMatchObject({ code: 'job.lease_lost' });
    await room.reports.complete(OTHER_AGENT, second.id, second.token, 'in time');
    expect(await get(first.id)).toMatchObject({ state: 'completed', result: 'in time', attempts: 2 });
  });

  it('10 minutes forward between a look and a beat: the agent that beats first keeps its job', async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    room.clock.jump(10 * MINUTE);
    const beaten = await room.leases.renew(PLATFORM_AGENT, [{ jobId: id, token }]);
    expect(beaten).toEqual({ renewed: [{ id, expiresInMs: MINUTE }], lost: [], cancel: [] });
    expect((await room.sweep()).changed).toBe(0);
    await room.reports.complete(PLATFORM_AGENT, id, token, null);
    expect(await room.stateOf(id)).toBe('completed');
  });

  it('10 minutes back: the job of a dead agent is taken back after its lease all the same', async () => {
    await room.add();
    const { id } = await room.claimOne(PLATFORM_AGENT);
    room.clock.jump(-10 * MINUTE);
    expect((await room.sweep()).counts).toMatchObject({ shortened: 1, released: 0 });
    await room.clock.advance(61 * SECOND);
    expect((await room.sweep()).counts).toMatchObject({ released: 1 });
    expect(await get(id)).toMatchObject({ state: 'scheduled', reason: 'lease_expired' });
  });

  it('10 minutes back: a living agent keeps its job, and a new one is not overtaken for longer than that', async () => {
    await room.add({}, 2);
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    room.clock.jump(-10 * MINUTE);
    const { renewed } = await room.leases.renew(PLATFORM_AGENT, [{ jobId: id, token }]);
    expect(renewed).toEqual([{ id, expiresInMs: MINUTE }]);
    await room.sweep();
    await room.clock.advance(10 * MINUTE);
    // Enqueued after the time before the jump has come again: behind the one that was there.
    const [late] = await room.add();
    const claimed = await room.claimOne(OTHER_AGENT);
    expect(claimed.id).not.toBe(late?._id.toHexString());
    expect(await room.stateOf(claimed.id)).toBe('claimed');
  });

  it('10 minutes back under a paused leader: it takes back no lease that was renewed or given since', async () => {
    await room.add({}, 2);
    const renewed = await room.claimOne(PLATFORM_AGENT);
    const dead = await room.claimOne(OTHER_AGENT);
    await room.clock.advance(61 * SECOND);
    const release = room.releases.release.bind(room.releases);
    let given: Awaited<ReturnType<typeof room.claimOne>> | undefined;
    room.releases.release = async (...late) => {
      room.releases.release = release;
      // Another leads meanwhile, and takes the lease of the dead agent back before the time is set.
      await room.leases.renew(PLATFORM_AGENT, [{ jobId: renewed.id, token: renewed.token }]);
      await room.sweep();
      await room.clock.advance(10 * SECOND);
      room.clock.jump(-10 * MINUTE);
      await room.leases.renew(PLATFORM_AGENT, [{ jobId: renewed.id, token: renewed.token }]);
      await room.collection.documents.updateMany({ state: 'scheduled' }, { $set: { runAt: new Date(0) } });
      await room.sweep();
      given = await room.claimOne(OTHER_AGENT);
      return release(...late);
    };
    expect((await room.sweep()).counts).toMatchObject({ released: 0 });
    expect(given?.id).toBe(dead.id);
    expect(await get(renewed.id)).toMatchObject({ state: 'claimed', attempts: 1 });
    expect(await get(dead.id)).toMatchObject({ state: 'claimed', attempts: 2 });
    await room.reports.complete(PLATFORM_AGENT, renewed.id, renewed.token, null);
    await room.reports.complete(OTHER_AGENT, dead.id, given?.token ?? '', null);
  });

  it('10 minutes back: what waits expires later by no more than that', async () => {
    await room.add();
    await room.clock.advance(59 * MINUTE);
    room.clock.jump(-10 * MINUTE);
    await room.clock.advance(10 * MINUTE);
    expect((await room.sweep()).counts).toMatchObject({ expired: 0 });
    await room.clock.advance(2 * MINUTE);
    expect((await room.sweep()).counts).toMatchObject({ expired: 1 });
  });
});
