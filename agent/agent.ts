import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { HeldJob, JobStopped } from './held-job.ts';
import { PlatformClient, PlatformError } from './platform-client.ts';
import { type ClaimedJob, type JobFailure, type JobProgress, MAX_FAILURE_MESSAGE } from './protocol.ts';

export interface JobContext {
  /** Aborted when the work has to stop; what it throws then is told as the reason. */
  readonly signal: AbortSignal;
  /** Goes out with the next heartbeat; of several, the last. */
  readonly progress: (progress: JobProgress) => void;
}

/** Does one kind of job. Returns its result, any JSON; throws what is wrong. It may run twice: make it idempotent. */
export type JobFunction = (job: ClaimedJob, context: JobContext) => Promise<unknown>;

/** Thrown by a job's function to tell more than a message. */
export class JobError extends Error {
  readonly failure: JobFailure;
  readonly retryable: boolean;

  constructor(failure: JobFailure, retryable: boolean) {
    super(failure.message);
    this.failure = failure;
    this.retryable = retryable;
  }
}

export interface AgentOptions {
  readonly url: string;
  readonly credential: string;
  /** By type. */
  readonly functions: Readonly<Record<string, JobFunction>>;
  /** Jobs at a time. */
  readonly capacity?: number;
  /** How long a claim waits for jobs. */
  readonly waitMs?: number;
  /** How long jobs may go on after the signal before they are given back. */
  readonly drainMs?: number;
  readonly log?: (entry: Readonly<Record<string, unknown>>) => void;
}

const MAX_CLAIMED = 100;
/** How long the end of a job is told while the platform is away: longer than it takes to start it anew. */
const REPORT_FOR_MS = 600_000;
const FIRST_BEAT_MS = 1_000;
/** After an answer without jobs that did not wait for any: the platform drains, or cannot hold more claims. */
const EMPTY_PAUSE_MS = 1_000;

/** Too large, or not of the form that is expected. */
const REFUSED_FOR_GOOD: ReadonlySet<number> = new Set([413, 422]);

type Outcome = { readonly result: unknown } | { readonly error: JobFailure; readonly retryable: boolean };

/** Claims jobs, runs them, keeps their leases and tells how they end. */
export class Agent {
  private readonly client: PlatformClient;
  private readonly options: Required<AgentOptions>;
  private readonly held = new Map<string, HeldJob>();
  private readonly works = new Set<Promise<void>>();
  private readonly ended = new AbortController();
  private beatMs = FIRST_BEAT_MS;
  private roomMade = Promise.withResolvers<void>();
  private claimed = new AbortController();

  constructor(options: AgentOptions) {
    this.options = { capacity: 1, waitMs: 20_000, drainMs: 20_000, log: () => undefined, ...options };
    this.client = new PlatformClient(options.url, { credential: options.credential, log: this.options.log });
  }

  /**
   * Works until the signal, then claims no more and resolves when all its jobs have ended; those that take longer than
   * `drainMs` are given back to be tried again. @throws PlatformError 401 when the credential is not taken (any more).
   */
  async run(signal: AbortSignal): Promise<void> {
    const beating = this.beat();
    try {
      await this.claimUntil(AbortSignal.any([signal, this.ended.signal]));
      this.ended.signal.throwIfAborted();
      await this.drain();
    } finally {
      this.ended.abort();
      for (const held of this.held.values()) held.stop('draining');
      await Promise.all([...this.works, beating]);
    }
  }

  private async claimUntil(signal: AbortSignal): Promise<void> {
    const { capacity, waitMs } = this.options;
    while (!signal.aborted) {
      const room = Math.min(MAX_CLAIMED, capacity - this.held.size);
      if (room <= 0) {
        await Promise.race([this.roomMade.promise, aborted(signal)]);
        continue;
      }
      try {
        const sentAt = performance.now();
        const jobs = await this.client.claim({ claimId: randomUUID(), capacity: room, waitMs }, signal);
        for (const job of jobs) this.take(job);
        const hasWaited = performance.now() - sentAt >= Math.max(waitMs - EMPTY_PAUSE_MS, EMPTY_PAUSE_MS);
        if (jobs.length === 0 && !hasWaited) {
          await sleep(EMPTY_PAUSE_MS * (0.5 + Math.random()), undefined, { signal });
        }
      } catch (error) {
        if (!signal.aborted) throw error;
      }
    }
  }

  private take(job: ClaimedJob): void {
    const held = new HeldJob(job);
    this.held.set(job.id, held);
    const work = this.work(held).finally(() => {
      held.close();
      if (this.held.get(job.id) === held) this.held.delete(job.id);
      this.works.delete(work);
      this.roomMade.resolve();
      this.roomMade = Promise.withResolvers();
    });
    this.works.add(work);
    const beatMs = job.lease.expiresInMs / 3;
    if (beatMs >= this.beatMs) return;
    this.beatMs = beatMs;
    this.claimed.abort();
  }

  private async work(held: HeldJob): Promise<void> {
    const { log } = this.options;
    const { id, type, attempt, lease } = held.job;
    try {
      const { sentAt, answer } = await this.client.start(id, lease.token, held.signal);
      held.begin(sentAt);
      // The claim itself may have waited for longer than a lease: only from here it is known how old this one is.
      held.trustUntil(sentAt + answer.lease.expiresInMs);
      if (answer.cancelRequested) held.stop('canceled');
      const outcome = await this.outcomeOf(held);
      if (held.stopped === 'lost' && 'error' in outcome) throw new JobStopped('lost');
      held.isReporting = true;
      log({ message: await this.tell(held, outcome), job: id, type, attempt });
    } catch (error) {
      // Not ours any more, or not to be told: the platform tries it again when the lease is over.
      log({ message: 'dropped', job: id, type, attempt, why: String(error) });
    }
  }

  /** What will never be taken is told as a failure: the job would be done in vain again and again. */
  private async tell({ job: { id, lease } }: HeldJob, outcome: Outcome): Promise<'completed' | 'failed'> {
    const withinReason = AbortSignal.timeout(REPORT_FOR_MS);
    try {
      if ('error' in outcome) await this.client.fail(id, lease.token, outcome, withinReason);
      else await this.client.complete(id, lease.token, outcome.result, withinReason);
      return 'error' in outcome ? 'failed' : 'completed';
    } catch (error) {
      if (!(error instanceof PlatformError) || !REFUSED_FOR_GOOD.has(error.status)) throw error;
      const failure = { code: error.code, message: error.message.slice(0, MAX_FAILURE_MESSAGE) };
      await this.client.fail(id, lease.token, { error: failure, retryable: false }, withinReason);
      return 'failed';
    }
  }

  private async outcomeOf(held: HeldJob): Promise<Outcome> {
    const { type } = held.job;
    const run = this.options.functions[type];
    try {
      held.signal.throwIfAborted();
      if (!run) throw new JobError({ code: 'unknown_type', message: `this agent knows no jobs of type ${type}` }, true);
      const { signal } = held;
      return { result: (await run(held.job, { signal, progress: (progress) => held.progress(progress) })) ?? null };
    } catch (error) {
      if (error instanceof JobError) return { error: error.failure, retryable: error.retryable };
      const message = error instanceof Error ? error.message : String(error);
      const failure = { code: held.stopped ?? null, message: message.slice(0, MAX_FAILURE_MESSAGE) };
      return { error: failure, retryable: held.stopped !== 'canceled' };
    }
  }

  /** Until the end of `run`, jobs or no jobs: the platform knows by it that the agent is there. */
  private async beat(): Promise<void> {
    const { signal } = this.ended;
    while (!signal.aborted) {
      const jobs = [...this.held.values()];
      const sentAt = performance.now();
      try {
        const answer = await this.client.heartbeat(
          jobs.map((held) => held.entry()),
          signal,
        );
        this.beatMs = answer.nextBeatMs;
        for (const { id, expiresInMs } of answer.renewed) this.held.get(id)?.trustUntil(sentAt + expiresInMs);
        for (const held of jobs) if (answer.lost.includes(held.job.id) && !held.isReporting) held.stop('lost');
        for (const id of answer.cancel) this.held.get(id)?.stop('canceled');
      } catch (error) {
        if (error instanceof PlatformError && error.status === 401) this.ended.abort(error);
        else if (!signal.aborted) this.options.log({ message: 'a heartbeat failed', why: String(error) });
      }
      this.claimed = new AbortController();
      const woken = AbortSignal.any([signal, this.claimed.signal]);
      await sleep(this.beatMs, undefined, { signal: woken }).catch(() => undefined);
    }
  }

  private async drain(): Promise<void> {
    const timer = new AbortController();
    const over = sleep(this.options.drainMs, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([Promise.all(this.works), over]);
    timer.abort();
    for (const held of this.held.values()) held.stop('draining');
    await Promise.all(this.works);
  }
}

function aborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener('abort', () => resolve(), { once: true });
  });
}
