import { ofCounted } from '../../runtime/counted.js';
import { containerProblem, endText, isBadEnd } from './container-problem.js';
import { PROGRESS_DEADLINE_MS } from './deadline.js';
import { assessDeletion } from './deletion.js';
import { assessed, soonest, type Assessment, type ExtractContext, type StatusDraft } from './extract-context.js';
import type { SlimOf } from './slim-object.js';

/** A cluster's autoscaler and scheduler get this long to find a place, as kstatus gives it. */
const UNSCHEDULABLE_GRACE_MS = 15_000;

export function podStatus(pod: SlimOf<'Pod'>, context: ExtractContext): StatusDraft {
  const { state } = pod;
  const own = assessPod(pod, context.now, PROGRESS_DEADLINE_MS);
  const wasReady = context.previous?.health === 'healthy' || context.previous?.reason === 'ReadinessLost';
  const lost = wasReady && own.health === 'progressing' && state.phase === 'Running';
  return {
    ...own,
    ...(lost ? { health: 'degraded', reason: 'ReadinessLost', message: `pod ${pod.name} is no longer ready` } : {}),
    details: {
      phase: state.phase,
      node: state.node,
      containers: state.containers,
      readyContainers: state.readyContainers,
      restarts: state.restarts,
    },
  };
}

/**
 * A pod's health by itself, as a resource and as a child.
 *
 * @param deadlineMs How long it may take to become ready; null when its owner has a deadline of its own.
 */
export function assessPod(pod: SlimOf<'Pod'>, now: number, deadlineMs: number | null): Assessment {
  const { state } = pod;
  const deletion = assessDeletion(pod, now, state.node);
  if (deletion !== null) return deletion;
  if (state.phase === 'Succeeded') return assessed('completed', 'Succeeded');
  if (state.phase === 'Failed') return assessFailed(pod);
  if (state.phase === 'Unknown') {
    return assessed(
      'unknown',
      state.reason ?? 'NodeLost',
      `the node ${state.node ?? '?'} of pod ${pod.name} is silent`,
    );
  }
  const problems = state.trouble
    .map((container) => containerProblem(container, state, pod.name, now))
    .filter((problem) => problem !== null);
  const [problem] = problems;
  if (problem !== undefined) {
    const recheck = soonest(...problems.map((each) => each.recoversInMs));
    return assessed('degraded', problem.reason, problem.message, recheck);
  }
  if (state.unscheduled !== null) return assessUnscheduled(pod, now);
  return untilDeadline(state.phase === 'Running' ? assessRunning(pod) : assessStarting(pod), pod, now, deadlineMs);
}

function assessFailed({ name, state }: SlimOf<'Pod'>): Assessment {
  const container = state.trouble.find((each) => each.ended !== null && isBadEnd(each.ended));
  const end = container?.ended ?? null;
  const why = state.message ?? (container === undefined ? null : `${container.role} ${container.name} ${endText(end)}`);
  return assessed(
    'degraded',
    state.reason ?? end?.reason ?? 'PodFailed',
    `pod ${name} failed${why === null ? '' : `: ${why}`}`,
  );
}

function assessUnscheduled(pod: SlimOf<'Pod'>, now: number): Assessment {
  const { reason, message, since } = pod.state.unscheduled ?? { reason: null, message: null, since: null };
  const text = `pod ${pod.name} has no node${message === null ? '' : `: ${message}`}`;
  if (reason !== 'Unschedulable') return assessed('progressing', reason ?? 'Scheduling', text);
  const remaining = (since ?? pod.createdAt ?? now) + UNSCHEDULABLE_GRACE_MS - now;
  return remaining > 0 ? assessed('progressing', reason, text, remaining) : assessed('degraded', reason, text);
}

function assessRunning({ name, state }: SlimOf<'Pod'>): Assessment {
  if (state.restartPolicy !== 'Always') {
    return assessed('progressing', 'Running', `pod ${name} runs until its containers end`);
  }
  if (state.ready) return assessed('healthy');
  const ready = `${ofCounted(state.readyContainers, state.containers, 'container')} ready`;
  return assessed('progressing', state.notReadyReason ?? 'ContainersNotReady', `pod ${name} is not ready: ${ready}`);
}

function assessStarting({ name, state }: SlimOf<'Pod'>): Assessment {
  const waiting = state.trouble.find((container) => container.waiting !== null)?.waiting;
  const where = state.node === null ? '' : ` on node ${state.node}`;
  return assessed('progressing', waiting ?? 'ContainersStarting', `pod ${name} is starting${where}`);
}

/** Waiting to become ready is degraded once it has taken longer than any rollout may. Running to an end is not waiting. */
function untilDeadline(own: Assessment, pod: SlimOf<'Pod'>, now: number, deadlineMs: number | null): Assessment {
  const { state } = pod;
  const runsToItsEnd = state.phase === 'Running' && state.restartPolicy !== 'Always';
  if (own.health !== 'progressing' || deadlineMs === null || runsToItsEnd) return own;
  const begun = state.phase === 'Running' ? state.readySince : null;
  const since = begun ?? state.startedAt ?? pod.createdAt ?? now;
  const remaining = since + deadlineMs - now;
  if (remaining > 0) return { ...own, recheckAfterMs: remaining };
  return assessed('degraded', own.reason, `${own.message ?? ''}, since ${new Date(since).toISOString()}`);
}
