export const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
export type Level = (typeof LEVELS)[number];

/** One line of the log. `message` is constant text, what varies is in further fields. */
export interface LogLine {
  readonly time: string;
  readonly level: Level;
  readonly context?: string;
  readonly requestId?: string;
  readonly message: string;
  readonly [field: string]: unknown;
}

const SECRET_FIELD =
  /^(authorization|cookie|password|passphrase|secret|token|apikeys?|kubeconfig|keydata|credentials?|stringdata|ticket)$/i;
const MAX_DEPTH = 6;

/**
 * A value as it may be logged: errors as name, message, stack and cause; fields called like secrets redacted. The second
 * wall only: nothing puts a secret into a log call in the first place.
 */
export function loggable(value: unknown, depth = 0): unknown {
  if (value instanceof Error) {
    const { name, message, stack, cause } = value;
    const fields = loggableFields(value, depth);
    return { name, message, stack, ...fields, ...(cause === undefined ? {} : { cause: loggable(cause, depth + 1) }) };
  }
  if (typeof value === 'bigint') return value.toString();
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  if (depth >= MAX_DEPTH) return '[deep]';
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => loggable(item, depth + 1));
  return loggableFields(value, depth);
}

function loggableFields(value: object, depth: number): Record<string, unknown> {
  const entries = Object.entries(value).slice(0, 100);
  return Object.fromEntries(
    entries.map(([key, field]) => [key, SECRET_FIELD.test(key) ? '[redacted]' : loggable(field, depth + 1)]),
  );
}

export function formatJson(line: LogLine): string {
  return JSON.stringify(line);
}

/** For a person at a terminal: time, level, who, what, then the fields. */
export function formatText(line: LogLine): string {
  const { time, level, context, requestId, message, ...fields } = line;
  const head = `${time.slice(11, 23)} ${level.toUpperCase().padEnd(5)} ${context ? `[${context}] ` : ''}${message}`;
  const told = Object.entries({ ...fields, ...(requestId === undefined ? {} : { requestId }) });
  return [head, ...told.map(([key, value]) => `${key}=${formatField(value)}`)].join(' ');
}

function formatField(value: unknown): string {
  if (typeof value === 'object' && value !== null && 'stack' in value) return `\n  ${String(value.stack)}`;
  return typeof value === 'string' && !/\s/.test(value) ? value : JSON.stringify(value);
}
