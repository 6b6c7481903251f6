import type { KubernetesApiError, StatusCause } from './kubernetes-api.js';

/** Another manager owns a field that the manifest sets to another value. */
export interface FieldConflict {
  /** `kubectl-client-side-apply`, `kube-controller-manager`. */
  readonly manager: string;
  /** As Kubernetes writes it: `.spec.replicas`. */
  readonly field: string;
  readonly subresource: string | undefined;
}

/** Why an apply was refused, where the object itself is the reason. */
export type Refusal =
  | { readonly outcome: 'conflict'; readonly conflicts: readonly FieldConflict[] }
  | { readonly outcome: 'immutable'; readonly fields: readonly string[]; readonly message: string }
  /** The manifest itself is wrong. */
  | { readonly outcome: 'invalid'; readonly causes: readonly StatusCause[]; readonly message: string }
  /** The object is not the one that was looked at: it was created, deleted or replaced meanwhile. */
  | { readonly outcome: 'changed' };

/** Sentences with which Kubernetes' validations refuse a change of what cannot be changed. */
const IMMUTABLE = /immutable|updates to .* are forbidden|may not (?:be changed|change once set)/i;

/** undefined for errors that say nothing about the object. */
export function refusalOf(error: KubernetesApiError, isUpdate: boolean): Refusal | undefined {
  const { causes = [], reason } = error.options;
  const conflicts = causes.filter((cause) => cause.reason === 'FieldManagerConflict').map(conflictOf);
  if (conflicts.length > 0) return { outcome: 'conflict', conflicts };
  // A webhook's 409 has another reason or none.
  if (error.failure === 'conflict' && reason === 'Conflict') return { outcome: 'changed' };
  if (error.failure !== 'invalid') return undefined;
  const fieldsOf = (some: readonly StatusCause[]): string[] => [...new Set(some.map((cause) => cause.field))];
  if (isUpdate && fieldsOf(causes).join() === 'metadata.uid') return { outcome: 'changed' };
  const immutable = causes.filter((cause) => IMMUTABLE.test(cause.message));
  if (isUpdate && immutable.length > 0) {
    return { outcome: 'immutable', fields: fieldsOf(immutable), message: error.message };
  }
  return { outcome: 'invalid', causes, message: error.message };
}

/** `conflict with "kubectl" with subresource "scale" using apps/v1` */
function conflictOf(cause: StatusCause): FieldConflict {
  const [, manager = 'unknown'] = /^conflict with "([^"]*)"/.exec(cause.message) ?? [];
  const [, subresource] = /with subresource "([^"]*)"/.exec(cause.message) ?? [];
  return { manager, field: cause.field, subresource };
}
