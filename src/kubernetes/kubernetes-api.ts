/** One call of the API server. */
export interface ApiCall {
  readonly method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Absolute path without query: `/apis/apps/v1/namespaces/x/deployments`. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
  /** Sent as JSON. */
  readonly body?: unknown;
  /** Of the body; `application/json` if absent. Apply is `application/apply-patch+yaml`, which takes JSON too. */
  readonly contentType?: string;
  readonly accept?: string;
  /** Whole call, 10 000 ms if absent. */
  readonly timeoutMs?: number;
  /** Cap of the decompressed body, 64 MiB if absent. */
  readonly maxBytes?: number;
  readonly signal?: AbortSignal;
}

export interface ApiResponse<T = unknown> {
  readonly status: number;
  readonly body: T;
  /** `Warning` headers' texts. */
  readonly warnings: readonly string[];
}

export interface WatchCall {
  readonly path: string;
  readonly query: Readonly<Record<string, string | number | boolean | undefined>>;
  readonly accept?: string;
  /** Ends the stream and frees its place on the connection. */
  readonly signal: AbortSignal;
}

/**
 * Port: one cluster's API server, over HTTP/2.
 *
 * Rejections are `KubernetesApiError`, never the transport's own; an abort rejects with the signal's reason.
 */
export interface KubernetesApi {
  readonly clusterId: string;
  /** Resolves for 2xx only; the body is parsed JSON. */
  call<T = unknown>(call: ApiCall): Promise<ApiResponse<T>>;
  /**
   * Opens a watch and yields its lines as parsed JSON, in order. Resolves once the response head is there; the
   * iteration ends when the server ends the stream cleanly and throws when it was cut, is silent for too long, or a
   * line is unreadable or longer than 4 MiB. Never occupies the connection of short calls; at most 80 on one connection.
   */
  watch(call: WatchCall): Promise<AsyncIterable<unknown>>;
}

/** Why a call failed, told apart as far as the client can act on it. */
export type KubernetesFailure =
  | 'dns'
  | 'refused'
  | 'tls'
  | 'timeout'
  | 'egress'
  | 'cut' // the connection broke, or the answer was not readable
  | 'unauthorized'
  | 'forbidden'
  | 'not-found'
  | 'conflict'
  | 'already-exists'
  | 'invalid'
  | 'gone' // 410: the resource version is too old
  | 'too-many-requests'
  | 'server'; // 5xx, and whatever else the API server refused

/** One cause of a Kubernetes `Status`: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/. */
export interface StatusCause {
  readonly reason: string;
  readonly field: string;
  readonly message: string;
}

export class KubernetesApiError extends Error {
  constructor(
    readonly failure: KubernetesFailure,
    /** Says what happened and where; safe to show: the API server's text is left out where it may echo a Secret. */
    message: string,
    readonly options: {
      readonly status?: number;
      readonly reason?: string;
      readonly causes?: readonly StatusCause[];
      readonly retryAfterMs?: number;
      readonly cause?: unknown;
    } = {},
  ) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'KubernetesApiError';
  }
}
