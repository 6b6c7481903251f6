import type { ResourceStatus } from '../resource.js';
import { assessJob } from './child-status.js';
import { rollUpChildren } from './children-rollup.js';
import { childrenOf, type ExtractContext, type StatusDraft } from './extract-context.js';
import type { SlimOf } from './slim-object.js';

/** How the last finished run went. The API keeps no time of a failure, and history limits remove the Job: we remember. */
interface LastRun {
  readonly finishedAt: number;
  readonly failure: { readonly reason: string; readonly message: string } | null;
}

export function cronJobStatus(cronJob: SlimOf<'CronJob'>, context: ExtractContext): StatusDraft {
  const { state } = cronJob;
  const jobs = childrenOf(context, 'Job');
  const running = new Set(jobs.filter((job) => !isFinished(job)).map((job) => job.uid));
  // Pods of runs that are over say nothing about the next one.
  const current: ExtractContext = {
    ...context,
    children: (kind) => {
      const children = context.children(kind);
      return kind === 'Pod' ? children.filter((pod) => pod.ownerUid !== null && running.has(pod.ownerUid)) : children;
    },
    podsSelectedBy: (selector) => context.podsSelectedBy(selector),
  };
  const rollup = rollUpChildren(['Job', 'Pod'], current, null);
  const lastRun = newest([
    remembered(context.previous),
    ...jobs.map(finishedRun),
    state.lastSucceededAt === null ? null : { finishedAt: state.lastSucceededAt, failure: null },
  ]);
  const base = {
    children: rollup.children,
    recheckAfterMs: rollup.recheckAfterMs,
    details: {
      schedule: state.schedule,
      timeZone: state.timeZone,
      active: state.active,
      lastScheduledAt: toTime(state.lastScheduledAt),
      lastSucceededAt: toTime(state.lastSucceededAt),
      lastFinishedAt: toTime(lastRun?.finishedAt ?? null),
      lastFailure: lastRun?.failure ?? null,
      childCount: rollup.childCount,
    },
  };
  if (state.suspend) return { ...base, health: 'suspended', reason: 'CronJobSuspended' };
  if (rollup.problem !== null) return { ...base, health: 'degraded', ...rollup.problem };
  if (lastRun?.failure) return { ...base, health: 'degraded', ...lastRun.failure };
  if (state.active > 0) return { ...base, health: 'healthy', reason: 'JobRunning', message: `${state.active} active` };
  const reason = state.lastScheduledAt === null ? 'WaitingForSchedule' : null;
  return { ...base, health: 'healthy', reason };
}

function isFinished({ state }: SlimOf<'Job'>): boolean {
  return state.complete || state.failure !== null;
}

function finishedRun(job: SlimOf<'Job'>): LastRun | null {
  if (!isFinished(job)) return null;
  const { health, reason, message } = assessJob(job);
  const failure = health === 'degraded' ? { reason: reason ?? 'JobFailed', message: message ?? '' } : null;
  return { finishedAt: job.state.finishedAt ?? job.createdAt ?? 0, failure };
}

function remembered(previous: ResourceStatus | null): LastRun | null {
  const { lastFinishedAt, lastFailure } = previous?.details ?? {};
  const finishedAt = typeof lastFinishedAt === 'string' ? Date.parse(lastFinishedAt) : Number.NaN;
  if (Number.isNaN(finishedAt)) return null;
  if (typeof lastFailure !== 'object' || lastFailure === null) return { finishedAt, failure: null };
  const { reason, message } = lastFailure as { reason?: unknown; message?: unknown };
  const failure = {
    reason: typeof reason === 'string' ? reason : 'JobFailed',
    message: typeof message === 'string' ? message : '',
  };
  return { finishedAt, failure };
}

/** Of two at the same time the later in the list: what is seen wins over what is remembered. */
function newest(runs: readonly (LastRun | null)[]): LastRun | null {
  return runs.reduce((best, run) => (run !== null && run.finishedAt >= (best?.finishedAt ?? 0) ? run : best), null);
}

function toTime(time: number | null): string | null {
  return time === null ? null : new Date(time).toISOString();
}
