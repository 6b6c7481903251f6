import { type KubernetesFailure, KubernetesApiError, type StatusCause } from './kubernetes-api.js';

/** What an API server says about a refusal: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/. */
export interface ApiStatus {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly causes?: readonly { readonly reason?: string; readonly field?: string; readonly message?: string }[];
    readonly retryAfterSeconds?: number;
  };
}

const MAX_TEXT = 1_000;
const MAX_CAUSES = 50;

/** Constant texts of Kubernetes that say something without naming a value. */
const SAFE_MESSAGE =
  /(^conflict with "[^"]*"(?: with subresource "[^"]*")? using \S+|field is immutable(?: when `immutable` is set)?|Required value|Too long|Duplicate value)/;

/** `GET /api/v1/…` on a server: what was asked, for the error. */
export interface AskedFor {
  readonly method: string;
  readonly path: string;
  readonly origin: string;
}

/** @param retryAfter the header's value; a Status may say it too. */
export function statusError(
  asked: AskedFor,
  httpStatus: number,
  status: ApiStatus,
  retryAfter?: string,
): KubernetesApiError {
  const isSecret = concernsSecrets(asked.path);
  const reason = identifier(status.reason);
  const failure = failureOf(httpStatus, reason);
  const causes = (Array.isArray(status.details?.causes) ? status.details.causes : [])
    .slice(0, MAX_CAUSES)
    .map((cause) => causeOf(cause, isSecret));
  const retryAfterMs = retryAfterOf(retryAfter, status.details?.retryAfterSeconds);
  const text = isSecret ? fieldsText(causes) : readable(status.message);
  const said = [`${httpStatus}${reason === undefined ? '' : ` ${reason}`}`, text].filter(Boolean).join(': ');
  return new KubernetesApiError(failure, `${asked.method} ${asked.path} on ${asked.origin} was answered ${said}`, {
    status: httpStatus,
    causes,
    ...(reason === undefined ? {} : { reason }),
    ...(retryAfterMs === undefined ? {} : { retryAfterMs }),
  });
}

/** An ERROR event of a watch carries a Status as its object. */
export function statusOf(value: unknown): ApiStatus {
  return typeof value === 'object' && value !== null ? value : {};
}

/** The API server repeats refused values, which for a Secret are the secret: only code, reason and fields are kept. */
export function concernsSecrets(path: string): boolean {
  return /^\/api\/v1\/(?:namespaces\/[^/]+\/)?secrets(?:\/|$)/.test(path);
}

function failureOf(status: number, reason: string | undefined): KubernetesFailure {
  switch (status) {
    case 400:
    case 413:
    case 422:
      return 'invalid';
    case 401:
      return 'unauthorized';
    case 403:
      return 'forbidden';
    case 404:
      return 'not-found';
    case 409:
      return reason === 'AlreadyExists' ? 'already-exists' : 'conflict';
    case 410:
      return 'gone';
    case 429:
      return 'too-many-requests';
    default:
      return 'server';
  }
}

function causeOf(cause: { reason?: string; field?: string; message?: string }, isSecret: boolean): StatusCause {
  const message = readable(cause.message);
  return {
    reason: identifier(cause.reason) ?? '',
    field: readable(cause.field),
    message: isSecret ? (SAFE_MESSAGE.exec(message)?.[0] ?? '') : message,
  };
}

function fieldsText(causes: readonly StatusCause[]): string {
  return [...new Set(causes.map((cause) => cause.field).filter(Boolean))].join(', ');
}

/** Reasons are CamelCase words; anything else is not one. */
function identifier(text: unknown): string | undefined {
  return typeof text === 'string' && /^[A-Za-z]{1,64}$/.test(text) ? text : undefined;
}

/** Bounded, and without control characters, which could forge a line of a log. */
function readable(text: unknown): string {
  return typeof text === 'string' ? text.slice(0, MAX_TEXT).replaceAll(/\p{Cc}+/gu, ' ') : '';
}

function retryAfterOf(header: string | undefined, seconds: number | undefined): number | undefined {
  const value = header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : seconds;
  return typeof value === 'number' && value >= 0 ? value * 1_000 : undefined;
}
