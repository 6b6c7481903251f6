import type { KindDefinition } from './kinds.js';
import { type KubernetesApi, KubernetesApiError } from './kubernetes-api.js';
import { isRecord } from './object-meta.js';

const ACCESS_REVIEWS = '/apis/authorization.k8s.io/v1/selfsubjectaccessreviews';
const SUBJECT_REVIEWS = '/apis/authentication.k8s.io/v1/selfsubjectreviews';
const REVIEW_BYTES = 1024 * 1024;

export interface AskedAccess {
  /** `get`, `list`, `watch`, `create`, `patch`, `delete`. */
  readonly verb: string;
  readonly definition: Pick<KindDefinition, 'group' | 'plural'>;
  readonly namespace: string;
  /** Of one object; all of them if absent. */
  readonly name?: string;
}

/**
 * Whether our credential is allowed to do something, by a SelfSubjectAccessReview. Stores nothing.
 * https://kubernetes.io/docs/reference/access-authn-authz/authorization/#checking-api-access
 *
 * @throws KubernetesApiError
 */
export async function isAllowed(api: KubernetesApi, asked: AskedAccess, signal?: AbortSignal): Promise<boolean> {
  const { verb, definition, namespace, name } = asked;
  const { group, plural: resource } = definition;
  const resourceAttributes = { verb, group, resource, namespace, ...(name === undefined ? {} : { name }) };
  const review = {
    apiVersion: 'authorization.k8s.io/v1',
    kind: 'SelfSubjectAccessReview',
    spec: { resourceAttributes },
  };
  const status = await statusOfReview(api, ACCESS_REVIEWS, review, signal);
  const allowed = status['allowed'];
  if (typeof allowed === 'boolean') return allowed;
  throw new KubernetesApiError('cut', `POST ${ACCESS_REVIEWS}: the answer is not a review`);
}

/**
 * The name under which the API server knows our credential, by a SelfSubjectReview (Kubernetes 1.28 and newer);
 * undefined when it does not say.
 *
 * @throws KubernetesApiError for what is no answer: the connection, the credential.
 */
export async function ownUserName(api: KubernetesApi, signal?: AbortSignal): Promise<string | undefined> {
  const review = { apiVersion: 'authentication.k8s.io/v1', kind: 'SelfSubjectReview' };
  try {
    const { userInfo } = await statusOfReview(api, SUBJECT_REVIEWS, review, signal);
    const name = isRecord(userInfo) ? userInfo['username'] : undefined;
    return typeof name === 'string' && name !== '' && name.length <= 253 ? name : undefined;
  } catch (error) {
    if (error instanceof KubernetesApiError && isRefusal(error)) return undefined;
    throw error;
  }
}

function isRefusal({ failure }: KubernetesApiError): boolean {
  return failure === 'not-found' || failure === 'forbidden' || failure === 'invalid';
}

async function statusOfReview(
  api: KubernetesApi,
  path: string,
  body: unknown,
  signal: AbortSignal | undefined,
): Promise<Record<string, unknown>> {
  const answer = await api.call({ method: 'POST', path, body, maxBytes: REVIEW_BYTES, ...(signal ? { signal } : {}) });
  const status = isRecord(answer.body) ? answer.body['status'] : undefined;
  return isRecord(status) ? status : {};
}
