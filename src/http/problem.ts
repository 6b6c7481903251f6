import { AppError, type FieldError } from '../errors/app-error.js';
import { ERROR_CODES, type ErrorCode } from '../errors/error-codes.js';

/** RFC 9457 problem details, with our stable `code` and, for bad input, the wrong fields. */
export interface Problem {
  readonly type: string;
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ErrorCode;
  readonly errors?: readonly FieldError[];
  readonly [member: string]: unknown;
}

export function problemOf(error: AppError, requestId: string | undefined): Problem {
  const { status, title } = ERROR_CODES[error.code];
  return {
    type: 'about:blank',
    title,
    status,
    detail: error.detail,
    code: error.code,
    ...(error.errors.length > 0 ? { errors: error.errors } : {}),
    ...(requestId === undefined ? {} : { requestId }),
    ...error.details,
  };
}

interface StatusCarrier {
  readonly status: number;
  readonly type?: unknown;
}

/** Whatever was thrown, as an AppError; undefined when it is unknown and has to be logged in full and shown as `internal`. */
export function knownError(error: unknown): AppError | undefined {
  if (error instanceof AppError) return error;
  if (!hasStatus(error)) return undefined;
  // Express' body parsers and Nest's router throw errors with a status; their texts may echo the input.
  switch (error.status) {
    case 400:
      return new AppError('request.malformed', bodyProblem(error), { cause: error });
    case 404:
      return new AppError('resource.not_found', 'there is no such route; see /docs for those that are', {
        cause: error,
      });
    case 413:
      return new AppError('request.too_large', `the body is larger than ${limitOf(error)}`, { cause: error });
    case 415:
      return new AppError('request.unsupported_media_type', 'the content type, charset or encoding is not supported', {
        cause: error,
      });
    default:
      return undefined;
  }
}

function hasStatus(error: unknown): error is StatusCarrier {
  return typeof error === 'object' && error !== null && 'status' in error && typeof error.status === 'number';
}

/** Nest wraps the errors of the body parsers and of the router: a field of the error itself, or of what it wraps. */
function fieldOf(error: StatusCarrier, field: string): unknown {
  const { cause } = error as { cause?: unknown };
  for (const carrier of [error, cause]) {
    const found = typeof carrier === 'object' && carrier !== null ? Reflect.get(carrier, field) : undefined;
    if (found !== undefined) return found;
  }
  return undefined;
}

function limitOf(error: StatusCarrier): string {
  const limit = fieldOf(error, 'limit');
  return typeof limit === 'number' ? `${limit / 1_048_576} MiB` : 'allowed';
}

function bodyProblem(error: StatusCarrier): string {
  const type = fieldOf(error, 'type');
  if (type === 'entity.parse.failed') {
    const isValid = isJson(fieldOf(error, 'body'));
    return isValid ? 'the body is JSON, but neither an object nor a list' : 'the body is not valid JSON';
  }
  if (type === 'request.aborted') return 'the body ended before its time';
  if (error instanceof Error && error.cause instanceof URIError) {
    return 'the path is not valid: a percent sign is followed by what is not UTF-8';
  }
  return 'the request cannot be read';
}

/** The parser calls a lone value of JSON, like `null`, malformed too. */
function isJson(text: unknown): boolean {
  try {
    JSON.parse(String(text));
    return true;
  } catch (error) {
    if (error instanceof SyntaxError) return false;
    throw error;
  }
}
