import { AppError } from '../../errors/app-error.js';
import { KubernetesApiError, type KubernetesFailure } from '../../kubernetes/index.js';
import type { ObjectKey } from '../inventory/inventory-entry.js';
import type { NodeOutcome, RunNode } from '../workflow.js';

/** What is told of a node. */
export type NodeReport = Pick<RunNode, 'outcome' | 'reason' | 'message' | 'fields' | 'managers'>;

export function report(
  outcome: NodeOutcome,
  reason: string | null = null,
  message: string | null = null,
  more: Partial<Pick<RunNode, 'fields' | 'managers'>> = {},
): NodeReport {
  return { outcome, reason, message, fields: [], managers: [], ...more };
}

/** `ConfigMap shop/settings` */
export function describeObject({ kind, namespace, name }: ObjectKey): string {
  return `${kind} ${namespace}/${name}`;
}

export interface Failure {
  readonly report: NodeReport;
  /** It may go better soon. */
  readonly isTransient: boolean;
  /** Whether the call may have taken effect although it failed. */
  readonly mayHaveHappened: boolean;
  readonly retryAfterMs: number;
}

const REASONS: Readonly<Record<KubernetesFailure, string>> = {
  dns: 'ClusterUnreachable',
  refused: 'ClusterUnreachable',
  tls: 'ClusterUnreachable',
  timeout: 'ClusterTimeout',
  egress: 'ClusterUnreachable',
  cut: 'ClusterUnreachable',
  unauthorized: 'Unauthorized',
  forbidden: 'Forbidden',
  'not-found': 'NotFound',
  conflict: 'Conflict',
  'already-exists': 'AlreadyExists',
  invalid: 'Invalid',
  gone: 'Gone',
  'too-many-requests': 'TooManyRequests',
  server: 'ServerError',
};

const TRANSIENT: ReadonlySet<KubernetesFailure> = new Set([
  'dns',
  'refused',
  'timeout',
  'cut',
  'too-many-requests',
  'server',
]);
const BEFORE_SENDING: ReadonlySet<KubernetesFailure> = new Set(['dns', 'refused', 'tls', 'egress']);

/**
 * What a failed call means for a node.
 * @param verb what was asked of the API server: `patch`, `delete`.
 * @throws the error itself if it says nothing about the cluster.
 */
export function failureOf(error: unknown, verb: string, plural: string, object: ObjectKey): Failure {
  if (error instanceof AppError) {
    return {
      report: report('failed', error.code, error.detail),
      isTransient: false,
      mayHaveHappened: false,
      retryAfterMs: 0,
    };
  }
  if (!(error instanceof KubernetesApiError)) throw error;
  const { failure, message, options } = error;
  const { status = 0, retryAfterMs = 0, causes = [] } = options;
  const refused = failure === 'forbidden' ? `not allowed to ${verb} ${plural} in namespace ${object.namespace}: ` : '';
  const fields = [...new Set(causes.map(({ field }) => field).filter(Boolean))];
  return {
    report: report('failed', options.reason ?? REASONS[failure], `${describeObject(object)}: ${refused}${message}`, {
      fields,
    }),
    isTransient: TRANSIENT.has(failure),
    mayHaveHappened: status === 0 ? !BEFORE_SENDING.has(failure) : status >= 500,
    retryAfterMs,
  };
}
