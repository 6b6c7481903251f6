import type { Health, ResourceStatus } from '../resource.js';
import type { LabelSelector } from './label-selector.js';
import type { SlimObject, SlimOf, StatusKind } from './slim-object.js';

/** What surrounds an object when its status is extracted. */
export interface ExtractContext {
  /** Wall-clock time, milliseconds since the epoch. */
  readonly now: number;
  /** Objects of the kind owned by this one, directly or through others: a Deployment's Pods as well as its ReplicaSets. */
  children(kind: string): readonly SlimObject[];
  /** Pods of the object's namespace whose labels meet the selector. */
  podsSelectedBy(selector: LabelSelector): readonly SlimObject[];
  /** The last status extracted from the object of the same UID, unmasked; null the first time. Its details are the memory. */
  readonly previous: ResourceStatus | null;
}

export type ExtractedStatus = ResourceStatus & {
  /** When to extract again though nothing has changed, because time alone would change the answer; null when it would not. */
  readonly recheckAfterMs: number | null;
};

/** What an extractor of one kind answers; `extractStatus` adds what all kinds share. */
export type StatusDraft = Pick<ExtractedStatus, 'health'> & Partial<Omit<ExtractedStatus, 'health'>>;

export type Extractor<K extends StatusKind> = (object: SlimOf<K>, context: ExtractContext) => StatusDraft;

/** The children of one kind, typed. */
export function childrenOf<K extends StatusKind>(context: ExtractContext, kind: K): readonly SlimOf<K>[] {
  return context.children(kind).filter((child): child is Extract<SlimOf<K>, SlimObject> => child.kind === kind);
}

/** The selected pods, typed. */
export function selectedPods(context: ExtractContext, selector: LabelSelector): readonly SlimOf<'Pod'>[] {
  return context.podsSelectedBy(selector).filter((pod) => pod.kind === 'Pod');
}

/** The sooner of two rechecks. */
export function soonest(...delays: readonly (number | null | undefined)[]): number | null {
  const known = delays.filter((delay) => delay !== null && delay !== undefined);
  return known.length === 0 ? null : Math.min(...known);
}

/** The health of one object by itself, without its children. */
export interface Assessment {
  readonly health: Health;
  readonly reason: string | null;
  readonly message: string | null;
  readonly recheckAfterMs: number | null;
}

export function assessed(
  health: Health,
  reason: string | null = null,
  message: string | null = null,
  recheckAfterMs: number | null = null,
): Assessment {
  return { health, reason, message, recheckAfterMs };
}
