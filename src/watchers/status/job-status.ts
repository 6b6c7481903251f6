import { assessJob } from './child-status.js';
import { rollUpChildren } from './children-rollup.js';
import { endText, isBadEnd } from './container-problem.js';
import { PROGRESS_DEADLINE_MS } from './deadline.js';
import { childrenOf, type ExtractContext, type StatusDraft } from './extract-context.js';
import type { SlimOf } from './slim-object.js';

export function jobStatus(job: SlimOf<'Job'>, context: ExtractContext): StatusDraft {
  const { state } = job;
  const rollup = rollUpChildren(['Pod'], context, null);
  const own = assessJob(job);
  const { active, ready, succeeded, failed, completions, parallelism, backoffLimit } = state;
  const base = {
    ...own,
    children: rollup.children,
    details: {
      active,
      ready,
      succeeded,
      failed,
      completions,
      parallelism,
      backoffLimit,
      childCount: rollup.childCount,
    },
  };
  if (own.health === 'degraded') {
    const end = lastFailedEnd(context);
    return { ...base, message: end === null ? own.message : `${own.message ?? ''}; ${end}` };
  }
  if (own.health !== 'progressing') return base;
  const recheckAfterMs = rollup.recheckAfterMs;
  if (rollup.problem !== null) return { ...base, health: 'degraded', ...rollup.problem, recheckAfterMs };
  if (state.startedAt !== null) {
    const end = failed === 0 ? null : lastFailedEnd(context);
    return { ...base, message: end === null ? own.message : `${own.message ?? ''}; ${end}`, recheckAfterMs };
  }
  const remaining = (job.createdAt ?? context.now) + PROGRESS_DEADLINE_MS - context.now;
  if (remaining > 0)
    return { ...base, reason: 'NotStarted', message: 'waits for the job controller', recheckAfterMs: remaining };
  return {
    ...base,
    health: 'degraded',
    reason: 'NotStarted',
    message: 'the job controller has not started it for 10 minutes',
  };
}

/** How a pod of the Job failed: the API's own message only says that there were too many. */
function lastFailedEnd(context: ExtractContext): string | null {
  const ends = childrenOf(context, 'Pod')
    .filter((pod) => pod.state.phase === 'Failed')
    .map((pod) => {
      const container = pod.state.trouble.find((each) => each.ended !== null && isBadEnd(each.ended));
      return container === undefined
        ? { at: 0, text: pod.state.reason === null ? null : `pod ${pod.name}: ${pod.state.reason}` }
        : {
            at: container.ended?.finishedAt ?? 0,
            text: `${container.role} ${container.name} of pod ${pod.name} ${endText(container.ended)}`,
          };
    })
    .filter(({ text }) => text !== null)
    .toSorted((a, b) => b.at - a.at || ((a.text ?? '') < (b.text ?? '') ? -1 : 1));
  return ends[0]?.text ?? null;
}
