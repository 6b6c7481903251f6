import { afterAll, beforeAll, describe, it } from '@jest/globals';
import fc from 'fast-check';
import {
  advance,
  beat,
  cancel,
  claim,
  claimAtOnce,
  completeAtOnce,
  enqueue,
  goAway,
  jump,
  pauseLeader,
  reconcile,
  removeAgent,
  resume,
  sequence,
  tell,
} from '../../test/support/job-queue-commands.js';
import { type ModelTenant, type QueueSystem, QueueModel, finish } from '../../test/support/job-queue-model.js';
import { type JobReplica, type JobRoom, agent, makeJobs, openJobRoom } from '../../test/support/job-room.js';
import { pausableSweep } from '../../test/support/pausable-sweep.js';
import { ADMIN } from '../../test/support/tenant-room.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;
const RUNS = Number(process.env['TEST_MODEL_RUNS'] ?? 25);

const AGENTS = [agent('p', '*'), agent('q', '*'), agent('r', 'rich')];
const TENANTS: readonly ModelTenant[] = [
  { name: 'default', base: 250, weight: 1, running: null },
  { name: 'rich', base: 1_000, weight: 4, running: null },
  { name: 'narrow', base: 500, weight: 2, running: 3 },
];
// The fake clock's days are over by the database's own, which removes finished jobs.
const settings = { jobs: { retentionMs: 3_650 * 24 * 60 * MINUTE } };

let room: JobRoom;
let other: JobReplica;
let pauseAt: QueueSystem['pauseAt'];
beforeAll(async () => {
  room = await openJobRoom(settings);
  other = makeJobs(room.database, room.clock, settings);
  await other.bus.start();
  pauseAt = pausableSweep(other.releases);
});
afterAll(async () => {
  await other.dispatcher.stop();
  await other.bus.stop(AbortSignal.abort());
  await room.close();
});

async function emptySystem(): Promise<QueueSystem> {
  await room.clear();
  other.agents.away.clear();
  await room.tenants.service.create(ADMIN, { name: 'rich', plan: 'enterprise' });
  await room.tenants.service.create(ADMIN, { name: 'narrow', plan: 'team', limits: { running: 3 } });
  return { room, replicas: [room, other], agents: AGENTS, tenants: TENANTS, pauseAt };
}

const replica = fc.nat({ max: 1 });
const index = fc.nat({ max: 60 });
const order = fc.record({
  replica,
  tenant: fc.nat({ max: TENANTS.length - 1 }),
  pool: fc.constantFrom('platform' as const, 'platform' as const, 'tenant' as const),
  count: fc.integer({ min: 1, max: 5 }),
  priority: fc.integer({ min: 0, max: 100 }),
  maxRetries: fc.integer({ min: 0, max: 2 }),
  delayMs: fc.constantFrom(0, 0, 0, 90 * SECOND),
});
/** Whose leases run out while a leader that has seen this is paused: the agent beats, and keeps them. */
const beatsMeanwhile = fc
  .tuple(index, fc.boolean())
  .map(([by, isStarted]) => [
    claim(0, by, 4, null),
    ...(isStarted ? [tell('start', 0, -1)] : []),
    advance(61 * SECOND),
    pauseLeader(0),
    beat(0, by),
    resume(),
    beat(1, by),
  ]);
/** Jobs that have waited too long are taken, given back and wait anew while a leader that has seen them is paused. */
const waitsAnew = index.map((by) => [
  enqueue({ replica: 0, tenant: 0, pool: 'platform', count: 2, priority: 100, maxRetries: 2, delayMs: 0 }),
  advance(61 * MINUTE),
  pauseLeader(1),
  claim(0, by, 6, null),
  tell('fail', 1, -1),
  tell('fail', 1, -2),
  advance(MINUTE),
  reconcile(0),
  resume(),
]);
/** Time is set back under leases, which a leader then shortens: their agent keeps them for one more lease, no longer. */
const setBack = fc
  .tuple(index, fc.constantFrom(5 * SECOND, 50 * SECOND, 61 * SECOND), fc.nat({ max: 1 }))
  .map(([by, ms, of]) => [
    claim(1, by, 4, null),
    jump(-10 * MINUTE),
    reconcile(0),
    advance(ms),
    reconcile(1),
    tell('start', 0, -1 - of),
  ]);
const report = fc.constantFrom(
  ...(['start', 'start', 'progress', 'complete', 'complete', 'fail', 'failForGood'] as const),
);
const commands = fc.commands(
  [
    order.map(enqueue),
    fc.tuple(replica, index, fc.integer({ min: 1, max: 6 })).map(([at, by, capacity]) => claim(at, by, capacity, null)),
    fc.tuple(replica, index).map(([at, earlier]) => claim(at, 0, 3, earlier)),
    fc.tuple(index, index, fc.integer({ min: 1, max: 4 })).map(([a, b, capacity]) => claimAtOnce(a, b, capacity)),
    fc.tuple(report, replica, index).map(([kind, at, of]) => tell(kind, at, of)),
    fc.tuple(report, replica, index).map(([kind, at, of]) => tell(kind, at, of)),
    fc.tuple(index, index).map(([of, job]) => completeAtOnce(of, job)),
    fc.tuple(replica, index).map(([at, by]) => beat(at, by)),
    fc.tuple(replica, index).map(([at, job]) => cancel(at, job)),
    fc.tuple(index, fc.boolean()).map(([by, isAway]) => goAway(by, isAway)),
    fc.tuple(replica, index).map(([at, by]) => removeAgent(at, by)),
    fc.constantFrom(5 * SECOND, 61 * SECOND, 11 * MINUTE, 31 * MINUTE, 61 * MINUTE).map(advance),
    fc.constantFrom(-10 * MINUTE, 10 * MINUTE).map(jump),
    replica.map(reconcile),
    fc.nat({ max: 2 }).map(pauseLeader),
    fc.constant(resume()),
    fc.oneof(beatsMeanwhile, waitsAnew, setBack).map(sequence),
  ],
  { maxCommands: 100, size: 'max' },
);

describe('the job queue, whatever happens in whatever order', () => {
  it('loses no job, ends each once, takes one completion, leaves none stuck and keeps the order', async () => {
    await fc.assert(
      fc.asyncProperty(commands, fc.boolean(), async (some, isServed) => {
        const model = new QueueModel();
        const system = await emptySystem();
        await fc.asyncModelRun(() => ({ model, real: system }), some);
        await finish(model, system, isServed);
      }),
      { numRuns: RUNS },
    );
  }, 300_000);
});
