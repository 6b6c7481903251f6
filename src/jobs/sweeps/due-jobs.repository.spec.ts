import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { SchedulerRegistry } from '@nestjs/schedule';
import { settle } from '../../../test/support/fake-clock.js';
import {
  type JobReplica,
  type JobRoom,
  PLATFORM_AGENT,
  hexOf,
  makeJobs,
  openJobRoom,
} from '../../../test/support/job-room.js';
import { ADMIN } from '../../../test/support/tenant-room.js';
import { PeriodicTasks } from '../../lifecycle/index.js';
import { DueJobs } from './due-jobs.js';

let room: JobRoom;
let due: DueJobs;
beforeAll(async () => {
  room = await openJobRoom();
});
afterAll(() => room.close());
beforeEach(async () => {
  await room.clear();
  due = dueOf(room);
});
afterEach(() => due.stop());

function dueOf({ sweeps, config }: JobReplica): DueJobs {
  return new DueJobs(sweeps, new PeriodicTasks(new SchedulerRegistry(), room.clock), config);
}

const inSeconds = (seconds: number): string => new Date(room.clock.now() + seconds * 1_000).toISOString();

/** Moves on by one period, and waits until the round is over: the next one is planned then. */
async function round(): Promise<void> {
  await room.clock.advance(room.config.pollMs);
  for (const deadline = performance.now() + 4_000; performance.now() < deadline; await settle(1)) {
    if (room.clock.nextTimerInMs === room.config.pollMs) return;
  }
  throw new Error('the round did not end');
}

describe('delayed jobs', () => {
  it('are queued at the first poll after their time, not before', async () => {
    const [job] = await room.add({ notBefore: inSeconds(5) });
    await room.add({ notBefore: inSeconds(60) });
    room.changed.length = 0;
    await due.start();
    await round();
    await round();
    expect(await room.stateOf(hexOf(job))).toBe('scheduled');
    await round();
    expect(await room.service.get(ADMIN, hexOf(job))).toMatchObject({ state: 'queued', runAt: null });
    await settle();
    expect(room.changed.map(({ id, state }) => [id, state])).toEqual([[hexOf(job), 'queued']]);
    await due.stop();
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('go to the claim that waits for them after a failure', async () => {
    await room.add();
    const { id, token } = await room.claimOne(PLATFORM_AGENT);
    await room.reports.fail(PLATFORM_AGENT, id, token, { code: null, message: 'x' }, true);
    const waiting = room.claim(PLATFORM_AGENT, { waitMs: 60_000 });
    await due.start();
    for (let elapsedMs = 0; elapsedMs < 6_000; elapsedMs += room.config.pollMs) await round();
    expect(await waiting).toMatchObject([{ id, attempt: 2 }]);
  });

  it('take the free places of a tenant with a limit, and wait for the others', async () => {
    await room.tenants.service.create(ADMIN, { name: 'acme', limits: { running: 2 } });
    await room.add({ tenantId: 'acme', notBefore: inSeconds(1) }, 3);
    await due.start();
    await round();
    const states = (await room.collection.documents.find().toArray()).map(({ state }) => state);
    expect(states.toSorted()).toEqual(['queued', 'queued', 'throttled']);
  });

  it('are changed once, however many replicas look', async () => {
    await room.add({ notBefore: inSeconds(1) }, 120);
    const other = makeJobs(room.database, room.clock);
    await room.clock.advance(2_000);
    const signal = new AbortController().signal;
    const counts = await Promise.all([room.sweeps.queueDueJobs(signal), other.sweeps.queueDueJobs(signal)]);
    await room.sweeps.queueDueJobs(signal);
    expect(counts[0] + counts[1]).toBeLessThanOrEqual(120);
    const stored = await room.collection.documents.find().toArray();
    expect(stored.filter(({ state, version }) => state === 'queued' && version === 2)).toHaveLength(120);
    expect(await room.sweeps.queueDueJobs(signal)).toBe(0);
  });
});
