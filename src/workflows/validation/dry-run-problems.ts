import {
  type ApplyResult,
  type KubernetesApi,
  KubernetesApiError,
  type NamespaceState,
  type ObjectReference,
  readNamespace,
  type StatusCause,
} from '../../kubernetes/index.js';
import type { Manifest } from '../workflow.js';
import { errorProblem, warningProblem } from './problem.js';
import type { Problem } from './validator.js';

/** The apply of one node that is not stored. */
export interface DryRun {
  readonly nodeId: string;
  /** `ConfigMap shop/settings` */
  readonly label: string;
  readonly reference: ObjectReference;
  /** With the values of a Secret. */
  readonly manifest: Manifest;
}

/** What the API server says to a manifest, in its own terms. */
export function problemsOfAnswer(
  { nodeId, label, manifest }: DryRun,
  answer: Exclude<ApplyResult, { outcome: 'changed' }>,
): Problem[] {
  switch (answer.outcome) {
    case 'conflict':
      return answer.conflicts.map(({ field, manager }) =>
        errorProblem(`${label}: ${manager} owns the field with another value and is not overridden`, {
          nodeId,
          path: field,
          hint: 'take the field out of the manifest, or give it the same value',
        }),
      );
    case 'immutable':
      return answer.fields.map((path) =>
        errorProblem(`${label}: Kubernetes does not let the field change`, {
          nodeId,
          path,
          hint: 'take the change back, or delete the object first',
        }),
      );
    case 'invalid':
      return invalid(nodeId, label, answer);
    default:
      // A warning may repeat a value.
      return answer.warnings.map((text) =>
        warningProblem(`${label}: ${manifest.kind === 'Secret' ? 'the API server has a warning' : text}`, { nodeId }),
      );
  }
}

function invalid(
  nodeId: string,
  label: string,
  { causes, message }: { readonly causes: readonly StatusCause[]; readonly message: string },
): Problem[] {
  if (/does not support dry run/i.test(message)) {
    const hint = 'its webhook has to declare sideEffects None or NoneOnDryRun';
    return [warningProblem(`${label} was not tried: ${message}`, { nodeId, hint })];
  }
  const [first] = causes;
  if (first === undefined) return [errorProblem(`${label}: ${message}`, { nodeId })];
  return causes.map((cause) =>
    errorProblem(`${label}: ${cause.message === '' ? 'the API server does not take the field' : cause.message}`, {
      nodeId,
      path: cause.field === '' ? null : cause.field,
    }),
  );
}

/**
 * What a failed dry run says about the node, or about all of them.
 * @throws the error itself where it is about the cluster.
 */
export async function problemsOfFailure(
  api: KubernetesApi,
  { nodeId, label, reference }: DryRun,
  error: KubernetesApiError,
  signal: AbortSignal,
): Promise<Problem[]> {
  const { namespace } = reference;
  const { status, causes = [] } = error.options;
  if (causes.some(({ reason }) => reason === 'NamespaceTerminating')) {
    const isSeen = (await stateOf(api, namespace, signal)) !== 'hidden';
    return [notTried(`namespace ${namespace} is being deleted`, isSeen)];
  }
  if (error.failure === 'not-found') {
    const state = await stateOf(api, namespace, signal);
    const isMissing = state === 'hidden' ? error.message.includes(`namespaces "${namespace}" not found`) : !state;
    if (isMissing) return [notTried(`there is no namespace ${namespace}`, state !== 'hidden')];
  }
  // Where nothing was answered, or to nobody, no other node fares better.
  if (status === undefined || error.failure === 'unauthorized' || error.failure === 'too-many-requests') throw error;
  return [errorProblem(`${label}: ${error.message}`, { nodeId })];
}

/** An error only where the validator of namespaces cannot see what the API server has answered here. */
function notTried(why: string, isSeen: boolean): Problem {
  return isSeen
    ? warningProblem(`not tried: ${why}`, { hint: 'see the verdict of namespaces' })
    : errorProblem(why, { hint: 'give the workflow a namespace that is there to stay' });
}

/** `hidden`: without the right to read it. */
async function stateOf(
  api: KubernetesApi,
  namespace: string,
  signal: AbortSignal,
): Promise<NamespaceState | 'hidden' | undefined> {
  try {
    return await readNamespace(api, namespace, signal);
  } catch (error) {
    if (error instanceof KubernetesApiError && error.failure === 'forbidden') return 'hidden';
    throw error;
  }
}
