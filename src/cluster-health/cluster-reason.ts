import { KubernetesApiError, type KubernetesFailure } from '../kubernetes/kubernetes-api.js';
import type { ClusterReason, ClusterReasonCode } from './cluster.js';

const CODE_OF: Readonly<Record<KubernetesFailure, ClusterReasonCode>> = {
  dns: 'dns',
  refused: 'refused',
  tls: 'tls',
  timeout: 'timeout',
  egress: 'egress',
  cut: 'cut',
  unauthorized: 'unauthorized',
  forbidden: 'forbidden',
  'not-found': 'not-kubernetes',
  conflict: 'server',
  'already-exists': 'server',
  invalid: 'server',
  gone: 'server',
  'too-many-requests': 'server',
  server: 'server',
};

/**
 * The reason that a failed call is told by; `what` names the call. What the other side wrote is kept only of a refusal
 * by Kubernetes' authorizer, which names verb and resource: any other text could come from anywhere.
 */
export function reasonOf(error: unknown, server: string, what: string): ClusterReason {
  if (!(error instanceof KubernetesApiError)) {
    return {
      code: 'internal',
      message: `${what} failed at ${server} in an unforeseen way; the service's log has more`,
    };
  }
  const code = CODE_OF[error.failure];
  const { status } = error.options;
  if (status === undefined || code === 'forbidden') return { code, message: error.message };
  switch (code) {
    case 'unauthorized':
      return {
        code,
        message: `${server} does not take the credential (401); give another by PUT /clusters/:id/credentials`,
      };
    case 'not-kubernetes':
      return notKubernetes(server);
    default:
      return { code, message: `${server} answered ${status} to ${what}` };
  }
}

export function notKubernetes(server: string): ClusterReason {
  return { code: 'not-kubernetes', message: `${server} answers, but not as a Kubernetes API server; check the URL` };
}
