import { isImageReason, isStarting, type ContainerEnd, type ContainerTrouble, type PodState } from './pod-state.js';

/** Why a container makes its pod degraded. */
export interface ContainerProblem {
  readonly reason: string;
  readonly message: string;
  /** Milliseconds until it counts as recovered if nothing else happens; null when only a change can tell. */
  readonly recoversInMs: number | null;
}

/** A restarted container must have been ready for so long; a loop of longer lives has to prove as much again, up to the maximum. */
const STABLE_MS = 10_000;
const STABLE_MAX_MS = 60_000;
/** The kubelet forgets a back-off after a life of ten minutes: no loop then. */
const LONG_LIFE_MS = 600_000;

/** null for a container that starts, runs well, or has recovered. */
export function containerProblem(
  container: ContainerTrouble,
  pod: PodState,
  podName: string,
  now: number,
): ContainerProblem | null {
  const who = `${container.role} ${container.name} of pod ${podName}`;
  const { waiting, ended, lastEnd } = container;
  if (waiting !== null && isFailure(waiting)) {
    if (waiting === 'CrashLoopBackOff') return ending(container, ended ?? lastEnd, who, null);
    if (isImageReason(waiting)) return imageProblem(container, waiting, who);
    const detail = container.message === null ? '' : `: ${container.message}`;
    return { reason: waiting, message: `${who} cannot start${detail}`, recoversInMs: null };
  }
  if (ended !== null) {
    const repeats = pod.restartPolicy === 'Always' && container.restarts > 0;
    return isBadEnd(ended) || repeats ? ending(container, ended, who, null) : null;
  }
  if (lastEnd === null || !wasCutShort(container, lastEnd, pod)) return null;
  const recoversInMs = recovery(container, lastEnd, pod, now);
  return recoversInMs === 'recovered' ? null : ending(container, lastEnd, who, recoversInMs);
}

/** Reasons grow with Kubernetes: one that does not read like an error is text, not a failure. */
function isFailure(waiting: string): boolean {
  return !isStarting(waiting) && (/^Err|Err(or)?$|BackOff$/.test(waiting) || isImageReason(waiting));
}

/** Servers are not meant to end at all; an init container that ran to its end before is repeated after a restart of the node. */
function wasCutShort(container: ContainerTrouble, lastEnd: ContainerEnd, pod: PodState): boolean {
  return isBadEnd(lastEnd) || (container.role !== 'init container' && pod.restartPolicy === 'Always');
}

export function isBadEnd(end: ContainerEnd): boolean {
  return (end.exitCode ?? 0) !== 0 || end.reason === 'OOMKilled';
}

/** `ended with exit code 1 (Error)`: never the termination message, which is the application's own text. */
export function endText(end: ContainerEnd | null): string {
  if (end === null) return 'ended';
  if (end.reason === 'OOMKilled') return `ran out of memory (exit code ${end.exitCode ?? 137})`;
  const reason = end.reason === null ? '' : ` (${end.reason})`;
  return end.exitCode === null ? `ended${reason}` : `ended with exit code ${end.exitCode}${reason}`;
}

/** The same words while it waits and while it runs again, so that a loop is one state and not a flicker of two. */
function ending(
  container: ContainerTrouble,
  end: ContainerEnd | null,
  who: string,
  recoversInMs: number | null,
): ContainerProblem {
  const looping = container.waiting === 'CrashLoopBackOff' || container.restarts > 0;
  const other = looping ? 'CrashLoopBackOff' : (end?.reason ?? 'Error');
  const restarts = container.restarts === 1 ? '1 restart' : `${container.restarts} restarts`;
  return {
    reason: end?.reason === 'OOMKilled' ? 'OOMKilled' : other,
    message: `${who} ${endText(end)}, ${restarts}`,
    recoversInMs,
  };
}

function imageProblem(container: ContainerTrouble, waiting: string, who: string): ContainerProblem {
  // The kubelet alternates between the attempt's error and the back-off: told as one state.
  const reason = waiting === 'ErrImagePull' ? 'ImagePullBackOff' : waiting;
  const detail = container.message?.replace(/^Back-off pulling image "[^"]*"(: )?(ErrImagePull: )?/, '') ?? '';
  const image = container.image === null ? 'its image' : `the image ${container.image}`;
  return { reason, message: `${who} cannot pull ${image}${detail === '' ? '' : `: ${detail}`}`, recoversInMs: null };
}

function recovery(
  container: ContainerTrouble,
  lastEnd: ContainerEnd,
  pod: PodState,
  now: number,
): number | null | 'recovered' {
  if (container.runningSince === null || !container.ready) return null;
  const readySince = Math.max(container.runningSince, pod.ready ? (pod.readySince ?? 0) : 0);
  const life = lastEnd.startedAt === null || lastEnd.finishedAt === null ? 0 : lastEnd.finishedAt - lastEnd.startedAt;
  const proof = life >= LONG_LIFE_MS ? STABLE_MS : Math.min(Math.max(life, 0) + STABLE_MS, STABLE_MAX_MS);
  const remaining = readySince + proof - now;
  return remaining > 0 ? remaining : 'recovered';
}
