import { type KubernetesFailure, KubernetesApiError, type StatusCause } from './kubernetes-api.js';

/** What an API server says about a refusal: https://kubernetes.io/docs/reference/kubernetes-api/common-definitions/status/. */
export interface ApiStatus {
  readonly code?: number;
  readonly reason?: string;
  readonly message?: string;
  readonly details?: {
    readonly causes?: readonly RawCause[];
    readonly retryAfterSeconds?: number;
  };
}

const MAX_TEXT = 1_000;
const MAX_CAUSES = 50;

interface RawCause {
  readonly reason?: string;
  readonly field?: string;
  readonly message?: string;
}

/** Constant texts of Kubernetes that say something without naming a value. */
const SAFE_MESSAGE =
  /(^conflict with "[^"]*"(?: with subresource "[^"]*")? using \S+|field is immutable(?: when `immutable` is set)?|field not declared in schema|expected (?:string|map|list|numeric|boolean)[^,:]{0,40}$|Required value|Too long|Duplicate value)/;

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
  const schemaCauses = httpStatus === 500 ? schemaCausesOf(status.message) : undefined;
  const failure = schemaCauses ? 'invalid' : failureOf(httpStatus, reason);
  const told = Array.isArray(status.details?.causes) ? status.details.causes : [];
  const causes = (schemaCauses ?? told).slice(0, MAX_CAUSES).map((cause) => causeOf(cause, isSecret));
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

/**
 * An apply whose fields do not fit the schema is answered 500 with text only, seen on Kubernetes 1.36:
 * `failed to create typed patch object (ns/name; apps/v1, Kind=Deployment): .spec.replicas: expected numeric, got string`.
 * undefined for any other 500. What stands behind `got` is the value.
 */
function schemaCausesOf(message: unknown): readonly RawCause[] | undefined {
  if (typeof message !== 'string' || !/^failed to (?:create typed patch|convert new) object /.test(message))
    return undefined;
  return [...message.matchAll(/(?:^|: |\n *)(\.[^\n:]*): ([^\n]*)/g)].map(([, field = '', text = '']) => ({
    reason: 'FieldValueInvalid',
    field: field.slice(1),
    message: text.replace(/, got .*$/, ''),
  }));
}

function causeOf(cause: RawCause, isSecret: boolean): StatusCause {
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

/**
 * Bounded, and without control characters, which could forge a line of a log. Of a long text the end is kept too: a
 * refused value, which may be a whole pod template, stands before what is wrong with it.
 */
function readable(text: unknown): string {
  if (typeof text !== 'string') return '';
  const bounded = text.length <= MAX_TEXT ? text : `${text.slice(0, MAX_TEXT / 2)} … ${text.slice(-MAX_TEXT / 2)}`;
  return bounded.replaceAll(/\p{Cc}+/gu, ' ');
}

function retryAfterOf(header: string | undefined, seconds: number | undefined): number | undefined {
  const value = header !== undefined && /^\d{1,6}$/.test(header) ? Number(header) : seconds;
  return typeof value === 'number' && value >= 0 ? value * 1_000 : undefined;
}
