import { isDeepStrictEqual } from 'node:util';
import type { ResourceStatus } from '../resource.js';
import { isOlder } from '../resource-version.js';
import type { ResourceDocument } from './resource.schema.js';
import type { ResourceChange } from './resources.repository.js';

/** What a watch says about the object of a resource. */
export type Observation = {
  readonly resourceVersion: string;
  /** Epoch milliseconds at which the consistent list began that says so; null when an event says it. */
  readonly listedSince: number | null;
} & (
  | { readonly uid: string; readonly status: ResourceStatus }
  /** The object is not there: it was deleted, or a complete list lacks it. */
  | { readonly uid: null; readonly status: null }
);

export type Verdict =
  /** Says nothing about our object: nothing was applied yet, or it is older than what is known. */
  | { readonly type: 'irrelevant' }
  /** Known already. */
  | { readonly type: 'unchanged' }
  | { readonly type: 'changed'; readonly change: ResourceChange; readonly history: HistoryNote | null };

export interface HistoryNote {
  readonly reason: string | null;
  readonly message: string | null;
}

/** What an observation means for a stored resource. Pure, so that it can be asked again after a lost race. */
export function judge(document: ResourceDocument, observation: Observation, now: Date): Verdict {
  if (document.applied === null || isOutdated(document, observation)) return { type: 'irrelevant' };
  // What we deleted is gone; an object that somebody else puts in its place is not this resource.
  const usurped = observation.uid !== document.applied.uid && observation.uid !== document.uid;
  if (document.health === 'deleted' && usurped) return { type: 'unchanged' };
  const replacesDeleted = usurped && document.uid !== null && document.uid === document.expectedDeletion;

  const uid = replacesDeleted ? null : observation.uid;
  const status =
    replacesDeleted || observation.uid === null
      ? statusOfAbsence(document)
      : presentStatus(document, observation.status);
  const recreated = uid !== null && usurped;
  if (uid === document.uid && sameStatus(document, status)) return { type: 'unchanged' };

  const healthChanged = status.health !== document.health;
  const note = recreated
    ? { reason: 'Recreated', message: `another object (uid ${uid}) has taken the name; its health is ${status.health}` }
    : healthChanged || status.reason !== document.reason || status.rollout !== document.rollout
      ? { reason: status.reason, message: status.message }
      : null;
  return {
    type: 'changed',
    history: note,
    change: {
      uid,
      health: status.health,
      rollout: status.rollout,
      reason: status.reason,
      message: status.message,
      details: status.details,
      children: status.children,
      observed: { uid, resourceVersion: observation.resourceVersion, at: now },
      updatedAt: now,
      ...(healthChanged ? { since: now, previous: document.health } : {}),
    },
  };
}

/**
 * An observation from before our last apply, or from before what is stored, does not count. Except when a list that
 * began after the document was written says so: then the cluster itself went back, from a backup of its store.
 */
function isOutdated(document: ResourceDocument, { resourceVersion, listedSince }: Observation): boolean {
  const older = [document.applied, document.observed].some(
    (known) => known !== null && isOlder(resourceVersion, known.resourceVersion),
  );
  return older && !(listedSince !== null && document.updatedAt.getTime() < listedSince);
}

function statusOfAbsence(document: ResourceDocument): ResourceStatus {
  const gone = { rollout: null, details: {}, children: [] };
  const expected = isExpectedToGo(document);
  // Nothing tells a Job that its TTL removed from one that a person removed: both have done their work.
  if (isCompletedJob(document) && !expected) return statusOf(document);
  if (document.health === 'deleted' || expected) {
    return { ...gone, health: 'deleted', reason: 'Deleted', message: `${document.kind} ${document.name} was deleted` };
  }
  const where = `${document.kind} ${document.namespace}/${document.name}`;
  return { ...gone, health: 'missing', reason: 'Missing', message: `${where} was removed by somebody else` };
}

/** A completed Job that its TTL removes is terminating for a moment: its work stays done. */
function presentStatus(document: ResourceDocument, status: ResourceStatus): ResourceStatus {
  const isBeingRemoved = status.health === 'terminating' && isCompletedJob(document) && !isExpectedToGo(document);
  return isBeingRemoved ? statusOf(document) : status;
}

function isCompletedJob({ kind, health }: ResourceDocument): boolean {
  return kind === 'Job' && health === 'completed';
}

function isExpectedToGo({ uid, expectedDeletion }: ResourceDocument): boolean {
  return uid !== null && uid === expectedDeletion;
}

function statusOf({ health, rollout, reason, message, details, children }: ResourceDocument): ResourceStatus {
  return { health, rollout, reason, message, details, children };
}

function sameStatus(document: ResourceDocument, status: ResourceStatus): boolean {
  return isDeepStrictEqual(statusOf(document), statusOf({ ...document, ...status }));
}
