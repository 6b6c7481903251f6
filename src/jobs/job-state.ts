/** In the order of a job's life. */
export const JOB_STATES = [
  'scheduled',
  'throttled',
  'queued',
  'claimed',
  'running',
  'completed',
  'failed',
  'canceled',
  'expired',
] as const;
export type JobState = (typeof JOB_STATES)[number];

/**
 * What happens to a job. By users: cancel, retry. By its agent: claim, start, progress, complete, fail. By reconcilers:
 * due (its time has come), admit and throttle (its tenant has room, or none), release (its lease is over), expire (it
 * waited too long).
 */
export const JOB_EVENTS = [
  'due',
  'admit',
  'throttle',
  'claim',
  'start',
  'progress',
  'complete',
  'fail',
  'release',
  'cancel',
  'expire',
  'retry',
] as const;
export type JobEvent = (typeof JOB_EVENTS)[number];

/** Where a job begins, new or retried: `scheduled` before its time, `throttled` where its tenant's running jobs are limited. */
export const INITIAL_STATES = ['scheduled', 'throttled', 'queued'] as const satisfies readonly JobState[];
/** Waits for an agent; `throttled` for a place among its tenant's running jobs as well. */
export const WAITING_STATES = ['throttled', 'queued'] as const satisfies readonly JobState[];
/** An agent has it, under a lease. */
export const HELD_STATES = ['claimed', 'running'] as const satisfies readonly JobState[];
export const TERMINAL_STATES = ['completed', 'failed', 'canceled', 'expired'] as const satisfies readonly JobState[];
export const UNFINISHED_STATES = JOB_STATES.filter((state) => !isTerminal(state));

type Transitions = Readonly<Partial<Record<JobState, readonly JobState[]>>>;

/** An attempt that ended without a result: tried again later, given up, or cancelled as was asked for meanwhile. */
const ATTEMPT_ENDED = ['scheduled', 'failed', 'canceled'] as const;
/** Taken from an agent that was removed, a job goes to others at once. */
const RELEASED = [...ATTEMPT_ENDED, 'queued'] as const;
const RUNNABLE = ['queued', 'throttled'] as const;

/** The one transition table: which event takes a job from which state to which. What is not here does not happen. */
const TRANSITIONS: Readonly<Record<JobEvent, Transitions>> = {
  due: { scheduled: RUNNABLE },
  admit: { throttled: ['queued'] },
  throttle: { queued: ['throttled'] },
  claim: { queued: ['claimed'] },
  start: { claimed: ['running'] },
  progress: { running: ['running'] },
  complete: { claimed: ['completed'], running: ['completed'] },
  fail: { claimed: ATTEMPT_ENDED, running: ATTEMPT_ENDED },
  release: { claimed: RELEASED, running: RELEASED },
  // Of a job that an agent has, cancelling is a flag: only the agent can stop its work.
  cancel: {
    scheduled: ['canceled'],
    throttled: ['canceled'],
    queued: ['canceled'],
    claimed: ['claimed'],
    running: ['running'],
  },
  expire: { throttled: ['expired'], queued: ['expired'] },
  retry: { failed: INITIAL_STATES, canceled: INITIAL_STATES, expired: INITIAL_STATES },
};

/** The states in which the event can happen: the condition of every update that makes it happen. */
export function statesBefore(event: JobEvent): readonly JobState[] {
  return JOB_STATES.filter((state) => TRANSITIONS[event][state] !== undefined);
}

/** The states that the event can lead to; none where it cannot happen. */
export function statesAfter(event: JobEvent, state: JobState): readonly JobState[] {
  return TRANSITIONS[event][state] ?? [];
}

export function isTerminal(state: JobState): boolean {
  return (TERMINAL_STATES as readonly JobState[]).includes(state);
}

/** Where a job waits: jobs of tenants with a limit get into the queue by a place. */
export function runnableState({ limits }: { readonly limits: { readonly running: number | null } }): JobState {
  return limits.running === null ? 'queued' : 'throttled';
}

export interface AttemptEnd {
  /** Claims so far, this attempt included. */
  readonly attempts: number;
  readonly maxRetries: number;
  readonly cancelRequested: boolean;
  /** False if the agent says that trying again is of no use. */
  readonly isRetryable: boolean;
  /** The agent was removed: no sign that the job is at fault, so it is tried again without a delay. */
  readonly isAgentRemoved?: boolean;
}

/** Where an attempt that ended without a result leaves the job, which is tried 1 + `maxRetries` times. */
export function afterAttempt(end: AttemptEnd): JobState {
  const { attempts, maxRetries, cancelRequested, isRetryable, isAgentRemoved = false } = end;
  if (cancelRequested) return 'canceled';
  if (!isRetryable || attempts > maxRetries) return 'failed';
  return isAgentRemoved ? 'queued' : 'scheduled';
}
