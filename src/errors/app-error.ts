import { ERROR_CODES, type ErrorCode } from './error-codes.js';

/** One wrong field of the input: a JSON-path-like `path` (`nodes[2].manifest.kind`, '' for the whole) and what is wrong. */
export interface FieldError {
  readonly path: string;
  readonly message: string;
}

export interface AppErrorOptions {
  readonly errors?: readonly FieldError[];
  /** Further members of the problem document. Shown to the client: never a secret, never another system's raw text. */
  readonly details?: Readonly<Record<string, unknown>>;
  readonly headers?: Readonly<Record<string, string>>;
  /** Kept for the log, never shown. */
  readonly cause?: unknown;
}

/** The only error class that reaches a client. `detail` says what happened, where, and what to do. */
export class AppError extends Error {
  readonly errors: readonly FieldError[];
  readonly details: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(
    readonly code: ErrorCode,
    readonly detail: string,
    options: AppErrorOptions = {},
  ) {
    super(detail, options.cause === undefined ? undefined : { cause: options.cause });
    this.name = 'AppError';
    this.errors = options.errors ?? [];
    this.details = options.details ?? {};
    this.headers = options.headers ?? {};
  }

  get status(): number {
    return ERROR_CODES[this.code].status;
  }

  /** 422 with the path of each wrong field. */
  static invalid(errors: readonly FieldError[], detail?: string): AppError {
    const count = errors.length === 1 ? 'one field is' : `${errors.length} fields are`;
    return new AppError('request.invalid', detail ?? `${count} not valid; see errors`, { errors });
  }

  static notFound(what: string): AppError {
    return new AppError('resource.not_found', `there is no such ${what}`);
  }
}
