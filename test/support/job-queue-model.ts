import { strict as assert } from 'node:assert';
import type { AgentIdentity } from '../../src/jobs/agent-directory.js';
import type { ListedJobDocument } from '../../src/jobs/job.document.js';
import { HELD_STATES, type JobState, afterAttempt, isTerminal } from '../../src/jobs/job-state.js';
import type { ClaimedJob } from '../../src/jobs/job.js';
import { AppError } from '../../src/errors/app-error.js';
import type { Pool } from '../../src/tenants/index.js';
import type { Deferred } from './pausable-sweep.js';
import { type JobReplica, type JobRoom, hexOf } from './job-room.js';
import { ADMIN } from './tenant-room.js';

const SECOND = 1_000;
const MINUTE = 60 * SECOND;

export interface ModelTenant {
  readonly name: string;
  readonly base: number;
  readonly weight: number;
  readonly running: number | null;
}

export interface ModelJob {
  readonly tenant: ModelTenant;
  readonly pool: Pool;
  readonly maxRetries: number;
  /** When it was enqueued, or its time came, by the server's time. */
  readonly since: number;
  readonly points: number;
  cancelRequested: boolean;
  /** Once known, for ever. */
  end?: JobState;
  /** Whose completion was accepted. */
  completedBy?: ModelClaim;
}

export interface ModelClaim {
  readonly agent: AgentIdentity;
  readonly claimId: string;
  readonly jobId: string;
  token: string;
  readonly attempt: number;
  /** The lease is surely valid before this server time, if the agent is not away. */
  safeUntil: number;
  touchedAt: number;
  readonly claimedAt: number;
  isStarted: boolean;
  /** It may have been taken back, or has been given back. */
  isDoubtful: boolean;
  isGivenBack: boolean;
  /** A later claim got the job. */
  isOver: boolean;
}

/** What is to be true of the queue, kept beside it without looking at how it does that. */
export class QueueModel {
  readonly jobs = new Map<string, ModelJob>();
  readonly claims: ModelClaim[] = [];
  readonly away = new Set<string>();
  isPaused = false;
  hasJumped = false;

  lastClaim(jobId: string): ModelClaim | undefined {
    return this.claims.findLast((claim) => claim.jobId === jobId);
  }
}

export interface QueueSystem {
  readonly room: JobRoom;
  /** Of these the second one's leader can be paused. */
  readonly replicas: readonly [JobReplica, JobReplica];
  readonly agents: readonly AgentIdentity[];
  readonly tenants: readonly ModelTenant[];
  /** Pauses the second replica's next sweep between the read of this step and its write. */
  readonly pauseAt: (step: number) => { readonly reached: Promise<void>; readonly gate: Deferred };
  paused?: { readonly run: Promise<unknown>; readonly gate: Deferred };
}

let claimIds = 0;
export const newClaimId = (): string => `model-${(claimIds += 1)}`;

export const pick = <T>(list: readonly T[], index: number): T => {
  const item = list.at(index % list.length);
  assert(item !== undefined, 'there is nothing to pick from');
  return item;
};

export const stored = (system: QueueSystem): Promise<ListedJobDocument[]> =>
  system.room.collection.documents.find().toArray();

/** No job is lost, none comes back from its end, none has two, and no tenant has more than its limit. */
export async function observe(model: QueueModel, system: QueueSystem): Promise<void> {
  const documents = await stored(system);
  assert.equal(documents.length, model.jobs.size, 'jobs were lost, or made twice');
  for (const document of documents) {
    const job = model.jobs.get(hexOf(document));
    assert(job, 'a job that nobody enqueued');
    if (job.end !== undefined) assert.equal(document.state, job.end, 'a job has left its terminal state');
    if (isTerminal(document.state)) job.end = document.state;
    assert.equal(document.state === 'completed', job.completedBy !== undefined, 'completed without a completion');
    assert.equal(document.lease !== undefined, (HELD_STATES as readonly string[]).includes(document.state));
  }
  for (const { name, running } of system.tenants) {
    if (running === null) continue;
    const taken = documents.filter(
      ({ tenantId, state }) => tenantId === name && ['queued', ...HELD_STATES].includes(state),
    );
    assert(taken.length <= running, `${name} has ${taken.length} places`);
  }
}

export function serves(agent: AgentIdentity, job: ModelJob): boolean {
  return agent.tenantId === '*' ? job.pool === 'platform' : job.pool === 'tenant' && job.tenant.name === agent.tenantId;
}

/** Of the jobs that waited, those that the agent got are the first; none was overtaken beyond the bound of rank.ts. */
export function checkOrder(
  model: QueueModel,
  system: QueueSystem,
  waiting: ListedJobDocument[],
  got: Set<string>,
): void {
  const { priorityBonus, maxLeadMs } = system.room.tenants.config;
  const sorted = waiting.toSorted((a, b) => a.rank - b.rank || (hexOf(a) < hexOf(b) ? -1 : 1));
  assert.deepEqual(new Set(sorted.slice(0, got.size).map((document) => hexOf(document))), got, 'not the first in rank');
  const most = Math.max(...system.tenants.map(({ base }) => base)) + 100;
  const left = sorted.slice(got.size).flatMap((document) => model.jobs.get(hexOf(document)) ?? []);
  for (const id of got) {
    const winner = model.jobs.get(id);
    for (const loser of left) {
      const bound = loser.since + maxLeadMs + ((most - loser.points) * MINUTE) / priorityBonus;
      assert(winner !== undefined && winner.since <= bound, 'a job was overtaken by one that came too late for that');
    }
  }
}

export function remember(
  model: QueueModel,
  system: QueueSystem,
  agent: AgentIdentity,
  claimId: string,
  jobs: ClaimedJob[],
) {
  const now = system.room.clock.now();
  for (const { id, lease, attempt } of jobs) {
    const job = model.jobs.get(id);
    assert(job && serves(agent, job), "a job that is not for this agent's eyes");
    assert.equal(job.end, undefined, 'a job was claimed after its end');
    const before = model.lastClaim(id);
    const isRepeated = before?.claimId === claimId && before.attempt === attempt;
    for (const claim of model.claims) if (claim.jobId === id) claim.isOver = true;
    const began = isRepeated ? before : { claimedAt: now, touchedAt: now, isStarted: false };
    const claim = { agent, claimId, jobId: id, token: lease.token, attempt, safeUntil: 0 };
    model.claims.push({
      ...claim,
      claimedAt: began.claimedAt,
      touchedAt: began.touchedAt,
      isStarted: began.isStarted,
      isDoubtful: false,
      isGivenBack: false,
      isOver: false,
    });
    renewed(model.claims.at(-1), model, system);
  }
}

/** What a beat or a report makes of a lease. */
export function renewed(claim: ModelClaim | undefined, model: QueueModel, system: QueueSystem): void {
  assert(claim);
  const { leaseMs, stuckMs, pickupMs } = system.room.config;
  const job = model.jobs.get(claim.jobId);
  const pickup = job?.pool === 'tenant' && !claim.isStarted ? claim.claimedAt + pickupMs : Infinity;
  claim.safeUntil = Math.min(system.room.clock.now() + leaseMs, claim.touchedAt + stuckMs, pickup);
}

export function sameClaim(
  model: QueueModel,
  document: ListedJobDocument,
  agent: AgentIdentity,
  claimId: string,
): boolean {
  const last = model.lastClaim(hexOf(document));
  return last?.claimId === claimId && last.agent.id === agent.id && document.lease?.agentId === agent.id;
}

export type Report = 'start' | 'progress' | 'complete' | 'fail' | 'failForGood';

/** True if it was taken; throws for an error other than those that refuse. */
export async function report(kind: Report, replica: JobReplica, { agent, jobId, token }: ModelClaim): Promise<boolean> {
  const { reports } = replica;
  const error = { code: null, message: 'as the model wants it' };
  try {
    if (kind === 'start') await reports.start(agent, jobId, token);
    else if (kind === 'progress') await reports.progress(agent, jobId, token, { percent: 50 });
    else if (kind === 'complete') await reports.complete(agent, jobId, token, { by: agent.id });
    else await reports.fail(agent, jobId, token, error, kind === 'fail');
    return true;
  } catch (failure) {
    assert(failure instanceof AppError, String(failure));
    assert(['job.lease_lost', 'job.not_transitionable'].includes(failure.code), failure.message);
    return false;
  }
}

export function learn(
  kind: Report,
  isTaken: boolean,
  claimed: ModelClaim,
  model: QueueModel,
  system: QueueSystem,
): void {
  const job = model.jobs.get(claimed.jobId);
  assert(job);
  const isCertain = !claimed.isOver && !claimed.isDoubtful && job.end === undefined;
  const isPossible = kind === 'progress' ? claimed.isStarted : true;
  if (isCertain && isPossible) assert(isTaken, `${kind} of a job that the agent has was refused`);
  if (!isTaken) return;
  assert(!claimed.isOver, `${kind} of a job that another claim has was taken`);
  if (kind === 'start' || kind === 'progress') {
    claimed.isStarted = true;
    claimed.touchedAt = system.room.clock.now();
    claimed.isDoubtful = false;
    renewed(claimed, model, system);
    return;
  }
  claimed.isDoubtful = true;
  claimed.isGivenBack = true;
  if (kind === 'complete') {
    assert(job.completedBy === undefined || job.completedBy === claimed, 'two completions were taken');
    job.completedBy = claimed;
  }
}

export async function checkFailure(kind: Report, claimed: ModelClaim, model: QueueModel, system: QueueSystem) {
  const job = model.jobs.get(claimed.jobId);
  assert(job);
  const { cancelRequested, maxRetries } = job;
  const end = { attempts: claimed.attempt, maxRetries, cancelRequested, isRetryable: kind === 'fail' };
  assert.equal(await system.room.stateOf(claimed.jobId), afterAttempt(end));
}

export async function cancelJob(jobId: string, model: QueueModel, replica: JobReplica): Promise<void> {
  const job = model.jobs.get(jobId);
  assert(job);
  try {
    const { cancelRequested } = await replica.service.cancel(ADMIN, jobId);
    job.cancelRequested = cancelRequested;
  } catch (failure) {
    assert(failure instanceof AppError && failure.code === 'job.not_transitionable', String(failure));
  }
}

/** What a sweep that looks now may take back. */
export function doubt(model: QueueModel, system: QueueSystem): void {
  const { leaseMs } = system.room.config;
  const now = system.room.clock.now();
  for (const claimed of model.claims) {
    // Time was set back: it shortens leases that end far later to what a new one would have.
    claimed.safeUntil = Math.min(claimed.safeUntil, now + leaseMs);
    if (claimed.safeUntil <= now) claimed.isDoubtful = true;
  }
  doubtGone(model);
}

function doubtGone(model: QueueModel): void {
  for (const claimed of model.claims) if (model.away.has(claimed.agent.id)) claimed.isDoubtful = true;
}

/**
 * It does not know that it has lost the lead meanwhile: only what it read protects the jobs. Of leases it takes back
 * those that were over when it looked, and are as they were; who is gone it asks only now.
 */
export async function resumeLeader(model: QueueModel, system: QueueSystem): Promise<void> {
  const { paused } = system;
  if (!paused) return;
  delete system.paused;
  model.isPaused = false;
  doubtGone(model);
  paused.gate.resolve();
  await paused.run;
}

/** One agent is left, or none; within these rounds every job has its one end, and the history tells it once. */
export async function finish(model: QueueModel, system: QueueSystem, isServed: boolean): Promise<void> {
  await resumeLeader(model, system);
  const [replica] = system.replicas;
  for (let round = 0; round < 40; round += 1) {
    if ((await stored(system)).every(({ state }) => isTerminal(state))) break;
    await system.room.clock.advance(5 * MINUTE);
    doubt(model, system);
    await replica.sweep();
    if (!isServed) continue;
    for (const agent of system.agents) {
      const claimId = newClaimId();
      remember(model, system, agent, claimId, await replica.claim(agent, { capacity: 100, claimId }));
    }
    for (const claimed of model.claims.filter(({ isOver }) => !isOver)) {
      learn('complete', await report('complete', replica, claimed), claimed, model, system);
    }
    await observe(model, system);
  }
  await observe(model, system);
  const documents = await system.room.collection.documents.find().toArray();
  for (const { state, history } of documents) {
    assert(isTerminal(state), `a job is stuck as ${state}`);
    assert.equal(history.filter((entry) => isTerminal(entry.state)).length, 1, 'its history tells of two ends');
    const waited = history.findLast(({ event }) => event === 'enqueue' || event === 'due');
    if (state !== 'expired' || model.hasJumped) continue;
    const waitedMs = Number(history.at(-1)?.at) - Number(waited?.at);
    assert(waitedMs > system.room.config.queueLimitMs, `a job expired after ${waitedMs} ms`);
  }
}
