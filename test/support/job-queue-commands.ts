import { strict as assert } from 'node:assert';
import type fc from 'fast-check';
import { afterAttempt, isTerminal } from '../../src/jobs/job-state.js';
import type { Pool } from '../../src/tenants/index.js';
import {
  type QueueModel,
  type QueueSystem,
  type Report,
  cancelJob,
  checkFailure,
  checkOrder,
  doubt,
  learn,
  newClaimId,
  observe,
  pick,
  remember,
  renewed,
  report,
  resumeLeader,
  sameClaim,
  serves,
  stored,
} from './job-queue-model.js';
import { HELD, NEVER, hexOf } from './job-room.js';
import { ADMIN } from './tenant-room.js';

/** How long a replica believes that it knows all lanes. */
const LANES_KNOWN_MS = 1_100;

export type QueueCommand = fc.AsyncCommand<QueueModel, QueueSystem, true>;
type Run = (model: QueueModel, system: QueueSystem) => Promise<void>;

/** After each command, what is stored is compared with what is known. */
function command(text: string, run: Run, check: (model: Readonly<QueueModel>) => boolean = () => true): QueueCommand {
  return {
    check: (model) => Promise.resolve(check(model)),
    run: async (model, system) => {
      await run(model, system);
      await observe(model, system);
    },
    toString: () => text,
  };
}

export interface Order {
  readonly replica: number;
  readonly tenant: number;
  readonly pool: Pool;
  readonly count: number;
  readonly priority: number;
  readonly maxRetries: number;
  readonly delayMs: number;
}

export const enqueue = (order: Order): QueueCommand =>
  command(`enqueue(${JSON.stringify(order)})`, async (model, system) => {
    const { pool, count, priority, maxRetries, delayMs } = order;
    const tenant = pick(system.tenants, order.tenant);
    const now = system.room.clock.now();
    const notBefore = delayMs === 0 ? {} : { notBefore: new Date(now + delayMs).toISOString() };
    const request = { tenantId: tenant.name, pool, priority, maxRetries, ...notBefore };
    const added = await pick(system.replicas, order.replica).add(request, count);
    for (const document of added) {
      const points = tenant.base + priority;
      model.jobs.set(hexOf(document), {
        tenant,
        pool,
        maxRetries,
        since: now + delayMs,
        points,
        cancelRequested: false,
      });
    }
  });

export const claim = (replica: number, agentIndex: number, capacity: number, repeats: number | null): QueueCommand =>
  command(
    `claim(replica ${replica}, agent ${agentIndex}, ${capacity}, repeats ${repeats})`,
    async (model, system) => {
      await system.room.clock.advance(LANES_KNOWN_MS);
      const earlier = repeats === null ? undefined : pick(model.claims, repeats);
      const agent = earlier?.agent ?? pick(system.agents, agentIndex);
      const claimId = earlier?.claimId ?? newClaimId();
      const before = await stored(system);
      const held = before.filter((document) => document.lease && sameClaim(model, document, agent, claimId));
      const waiting = before.filter((document) => {
        const job = model.jobs.get(hexOf(document));
        return document.state === 'queued' && job !== undefined && serves(agent, job);
      });
      const jobs = await pick(system.replicas, replica).claim(agent, { capacity, claimId });
      const got = new Set(jobs.map(({ id }) => id));
      assert.equal(got.size, jobs.length, 'a job was given twice');
      if (held.length > 0) assert.deepEqual(got, new Set(held.map(hexOf)), 'a repeated claim got other jobs');
      else {
        assert.equal(got.size, Math.min(capacity, waiting.length), 'jobs were held back');
        checkOrder(model, system, waiting, got);
      }
      remember(model, system, agent, claimId, jobs);
    },
    (model) => repeats === null || model.claims.length > 0,
  );

/** Two agents at two replicas at once. */
export const claimAtOnce = (first: number, second: number, capacity: number): QueueCommand =>
  command(`claimAtOnce(${first}, ${second}, ${capacity})`, async (model, system) => {
    await system.room.clock.advance(LANES_KNOWN_MS);
    const claims = [first, second].map(async (index, replica) => {
      const agent = pick(system.agents, index);
      const claimId = newClaimId();
      return { agent, claimId, jobs: await pick(system.replicas, replica).claim(agent, { capacity, claimId }) };
    });
    const answers = await Promise.all(claims);
    const ids = answers.flatMap(({ jobs }) => jobs.map(({ id }) => id));
    assert.equal(new Set(ids).size, ids.length, 'two agents got the same job');
    for (const { agent, claimId, jobs } of answers) remember(model, system, agent, claimId, jobs);
  });

export const tell = (kind: Report, replica: number, index: number): QueueCommand =>
  command(
    `${kind}(replica ${replica}, claim ${index})`,
    async (model, system) => {
      const claimed = pick(model.claims, index);
      const isFirst = !claimed.isDoubtful && !claimed.isOver && model.jobs.get(claimed.jobId)?.end === undefined;
      const isTaken = await report(kind, pick(system.replicas, replica), claimed);
      learn(kind, isTaken, claimed, model, system);
      if (isFirst && (kind === 'fail' || kind === 'failForGood')) await checkFailure(kind, claimed, model, system);
    },
    (model) => model.claims.length > 0,
  );

/** The agent completes while a leader takes back and a user cancels. */
export const completeAtOnce = (index: number, job: number): QueueCommand =>
  command(
    `completeAtOnce(claim ${index}, sweep, cancel ${job})`,
    async (model, system) => {
      const claimed = pick(model.claims, index);
      const [first, second] = system.replicas;
      doubt(model, system);
      const [isTaken] = await Promise.all([
        report('complete', first, claimed),
        second.sweep(),
        cancelJob(pick([...model.jobs.keys()], job), model, first),
      ]);
      learn('complete', isTaken, claimed, model, system);
    },
    (model) => model.claims.length > 0,
  );

export const beat = (replica: number, agentIndex: number): QueueCommand =>
  command(`beat(replica ${replica}, agent ${agentIndex})`, async (model, system) => {
    const agent = pick(system.agents, agentIndex);
    const own = model.claims.filter((claimed) => claimed.agent === agent && !claimed.isOver);
    const entries = own.map(({ jobId, token }) => ({ jobId, token }));
    const answer = await pick(system.replicas, replica).leases.renew(agent, entries);
    const kept = new Set(answer.renewed.map(({ id }) => id));
    for (const claimed of own) {
      const isCertain = !claimed.isDoubtful && claimed.safeUntil > system.room.clock.now();
      if (isCertain) assert(kept.has(claimed.jobId), 'a lease that is held was not renewed');
      assert.notEqual(kept.has(claimed.jobId), answer.lost.includes(claimed.jobId));
      if (kept.has(claimed.jobId)) {
        assert(!claimed.isGivenBack, 'a lease that was given back was renewed');
        claimed.isDoubtful = false;
        renewed(claimed, model, system);
      }
      const isAsked = model.jobs.get(claimed.jobId)?.cancelRequested === true && kept.has(claimed.jobId);
      assert.equal(answer.cancel.includes(claimed.jobId), isAsked, 'the agent was not asked to stop');
    }
  });

export const cancel = (replica: number, index: number): QueueCommand =>
  command(
    `cancel(replica ${replica}, job ${index})`,
    async (model, system) => {
      const jobId = pick([...model.jobs.keys()], index);
      const end = model.jobs.get(jobId)?.end;
      await cancelJob(jobId, model, pick(system.replicas, replica));
      const { state, cancelRequested } = await system.room.service.get(ADMIN, jobId);
      if (end === undefined) assert(state === 'canceled' || (cancelRequested && !isTerminal(state)));
    },
    (model) => model.jobs.size > 0,
  );

export const goAway = (agentIndex: number, isAway: boolean): QueueCommand =>
  command(`${isAway ? 'dies' : 'comes back'}(agent ${agentIndex})`, (model, system) => {
    const { id } = pick(system.agents, agentIndex);
    for (const known of [model.away, ...system.replicas.map(({ agents }) => agents.away)]) {
      if (isAway) known.add(id);
      else known.delete(id);
    }
    return Promise.resolve();
  });

/** Its jobs go to others at once; what they were told of it is worth nothing any more. */
export const removeAgent = (replica: number, agentIndex: number): QueueCommand =>
  command(`remove(replica ${replica}, agent ${agentIndex})`, async (model, system) => {
    const agent = pick(system.agents, agentIndex);
    const claims = model.claims.filter((claimed) => claimed.agent === agent && !claimed.isOver);
    const held = claims.filter(({ isDoubtful, jobId }) => !isDoubtful && model.jobs.get(jobId)?.end === undefined);
    const released = await pick(system.replicas, replica).leases.releaseAll(agent.id, 'agent_removed');
    assert(released >= held.length, 'a job was left with an agent that was removed');
    for (const { jobId, attempt } of held) {
      const job = model.jobs.get(jobId);
      assert(job);
      const { maxRetries, cancelRequested } = job;
      const end = { attempts: attempt, maxRetries, cancelRequested, isRetryable: true, isAgentRemoved: true };
      assert.equal(await system.room.stateOf(jobId), afterAttempt(end));
    }
    for (const claimed of claims) {
      claimed.isDoubtful = true;
      claimed.isGivenBack = true;
    }
  });

export const advance = (ms: number): QueueCommand =>
  command(`advance(${ms} ms)`, (_, system) => system.room.clock.advance(ms));

/** The server's time is set. */
export const jump = (ms: number): QueueCommand =>
  command(`jump(${ms} ms)`, (model, system) => {
    model.hasJumped = true;
    system.room.clock.jump(ms);
    return Promise.resolve();
  });

export const reconcile = (replica: number): QueueCommand =>
  command(`reconcile(replica ${replica})`, async (model, system) => {
    doubt(model, system);
    await pick(system.replicas, replica).sweep();
    await pick(system.replicas, replica).order.rerank(NEVER, HELD);
  });

export const pauseLeader = (step: number): QueueCommand =>
  command(
    `pauseLeader(step ${step})`,
    async (model, system) => {
      doubt(model, system);
      const { reached, gate } = system.pauseAt(step);
      const run = system.replicas[1].sweep();
      await Promise.race([reached, run]);
      system.paused = { run, gate };
      model.isPaused = true;
    },
    (model) => !model.isPaused,
  );

/** Several, with whatever else is going on: what chance alone would bring about too seldom. */
export const sequence = (some: readonly QueueCommand[]): QueueCommand => ({
  check: () => Promise.resolve(true),
  run: async (model, system) => {
    for (const each of some) if (await each.check(model)) await each.run(model, system);
  },
  toString: () => `sequence(${some.map(String).join(', ')})`,
});

export const resume = (): QueueCommand => command('resumeLeader()', resumeLeader, (model) => model.isPaused);
