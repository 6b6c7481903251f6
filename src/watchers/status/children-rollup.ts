import type { ChildStatus, Health } from '../resource.js';
import { assessChild, type ChildKind } from './child-status.js';
import { PROGRESS_DEADLINE_MS } from './deadline.js';
import { soonest, type Assessment, type ExtractContext } from './extract-context.js';
import type { SlimObject } from './slim-object.js';

/** What an object's children say about it. */
export interface ChildrenRollup {
  /** At most 20, unhealthy first, then by name. */
  readonly children: readonly ChildStatus[];
  readonly childCount: number;
  /** The first of the pods by name that make their owner degraded. */
  readonly problem: { readonly reason: string; readonly message: string } | null;
  readonly recheckAfterMs: number | null;
}

const CHILDREN_SHOWN = 20;

const ORDER: Readonly<Record<Health, number>> = {
  degraded: 0,
  missing: 1,
  unknown: 2,
  terminating: 3,
  progressing: 4,
  pending: 5,
  suspended: 6,
  healthy: 7,
  completed: 8,
  deleted: 9,
};

interface AssessedChild {
  readonly child: SlimObject;
  readonly assessment: Assessment;
}

/**
 * Assesses the children and finds the pod that makes the owner degraded. A pod that has failed for good counts only while
 * nothing stands in for it: controllers leave evicted pods behind that were replaced long ago.
 *
 * @param replicas How many running pods the owner wants; null for Jobs: they retry failed pods themselves, and
 *   have no deadline for pods that never start, so that each pod gets its own.
 */
export function rollUpChildren(
  kinds: readonly ChildKind[],
  context: ExtractContext,
  replicas: number | null,
): ChildrenRollup {
  const podDeadlineMs = replicas === null ? PROGRESS_DEADLINE_MS : null;
  const all: AssessedChild[] = [];
  for (const child of kinds.flatMap((kind) => context.children(kind))) {
    const assessment = assessChild(child, context.now, podDeadlineMs);
    if (assessment !== null) all.push({ child, assessment });
  }
  all.sort((a, b) => ORDER[a.assessment.health] - ORDER[b.assessment.health] || compareText(a.child, b.child));
  const standing = all.filter(({ child }) => isStanding(child)).length;
  const failedCount = replicas !== null && standing < replicas;
  const troubled = all.filter(({ child, assessment }) => {
    return child.kind === 'Pod' && assessment.health === 'degraded' && (failedCount || isStanding(child));
  });
  return {
    children: all.slice(0, CHILDREN_SHOWN).map(toChildStatus),
    childCount: all.length,
    problem: problemOf(troubled),
    recheckAfterMs: soonest(...all.map(({ assessment }) => assessment.recheckAfterMs)),
  };
}

function isStanding(child: SlimObject): boolean {
  return (
    child.kind === 'Pod' &&
    child.state.phase !== 'Failed' &&
    child.state.phase !== 'Succeeded' &&
    child.deletedAt === null
  );
}

function problemOf(troubled: readonly AssessedChild[]): ChildrenRollup['problem'] {
  const [first] = troubled;
  if (first === undefined) return null;
  const { reason, message } = first.assessment;
  const others = troubled.length === 1 ? '' : ` (and ${troubled.length - 1} more)`;
  return { reason: reason ?? 'PodDegraded', message: `${message ?? `pod ${first.child.name} is degraded`}${others}` };
}

function compareText(a: SlimObject, b: SlimObject): number {
  const left = `${a.name}/${a.kind}/${a.uid}`;
  const right = `${b.name}/${b.kind}/${b.uid}`;
  return left < right ? -1 : left > right ? 1 : 0;
}

function toChildStatus({ child, assessment }: AssessedChild): ChildStatus {
  const { health, reason, message } = assessment;
  return { kind: child.kind, name: child.name, uid: child.uid, health, reason, message };
}
