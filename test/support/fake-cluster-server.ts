import { type ApiCall, type ApiResponse, type KubernetesApi, KubernetesApiError } from '../../src/kubernetes/index.js';
import { FakeObjectServer } from './fake-object-server.js';

interface ReviewBody {
  readonly spec?: { readonly resourceAttributes?: { readonly verb: string; readonly resource: string; name?: string } };
}

/** What validators need of an API server: objects, namespaces, its version, and reviews of what we are allowed. */
export class FakeClusterServer implements KubernetesApi {
  readonly clusterId = 'fake';
  readonly objects = new FakeObjectServer();
  readonly namespaces = new Map<string, 'active' | 'terminating' | 'hidden'>();
  /** `patch deployments`, for all objects but those in `allowed`. */
  readonly denied = new Set<string>();
  /** `patch deployments web` */
  readonly allowed = new Set<string>();
  user = 'system:serviceaccount:crowsnest:deployer';
  version = 'v1.36.3';
  readonly calls: ApiCall[] = [];
  /** What it throws is the answer. */
  onCall: (call: ApiCall) => void | Promise<void> = () => undefined;

  async call<T>(call: ApiCall): Promise<ApiResponse<T>> {
    this.calls.push(call);
    await this.onCall(call);
    call.signal?.throwIfAborted();
    const body = this.own(call);
    return body === undefined ? this.objects.call<T>(call) : { status: 200, body: body as T, warnings: [] };
  }

  watch(): Promise<AsyncIterable<unknown>> {
    return this.objects.watch();
  }

  private own({ path, body }: ApiCall): unknown {
    if (path === '/version') return { gitVersion: this.version };
    if (path.endsWith('/selfsubjectreviews')) return { status: { userInfo: { username: this.user } } };
    if (path.endsWith('/selfsubjectaccessreviews')) return { status: { allowed: this.isAllowed(body as ReviewBody) } };
    const [, namespace] = /^\/api\/v1\/namespaces\/([^/]+)$/.exec(path) ?? [];
    return namespace === undefined ? undefined : this.namespace(namespace);
  }

  private isAllowed({ spec }: ReviewBody): boolean {
    const { verb = '', resource = '', name } = spec?.resourceAttributes ?? {};
    if (!this.denied.has(`${verb} ${resource}`)) return true;
    return name !== undefined && this.allowed.has(`${verb} ${resource} ${name}`);
  }

  private namespace(name: string): unknown {
    const state = this.namespaces.get(name);
    if (state === undefined) throw refusal('not-found', 404, 'NotFound', `namespaces "${name}" not found`);
    if (state === 'hidden') throw refusal('forbidden', 403, 'Forbidden', `namespaces "${name}" is forbidden`);
    const deletion = state === 'terminating' ? { deletionTimestamp: '2026-01-01T00:00:00Z' } : {};
    return { metadata: { name, uid: `uid-of-${name}`, resourceVersion: '1', ...deletion } };
  }
}

export function refusal(
  failure: KubernetesApiError['failure'],
  status: number,
  reason: string,
  message = reason,
): KubernetesApiError {
  return new KubernetesApiError(failure, `answered ${status} ${reason}: ${message}`, { status, reason });
}
