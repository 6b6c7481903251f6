import type { FieldError } from '../../errors/app-error.js';

export type Path = ReadonlyArray<string | number>;

/** One broken rule, with the place as segments, so that it can be told in terms of JSON as well as of YAML documents. */
export interface Violation {
  readonly path: Path;
  readonly message: string;
}

const PLAIN_KEY = /^[A-Za-z_][A-Za-z0-9_-]*$/;

/** `nodes[2].manifest.metadata.labels["app.kubernetes.io/name"]`. */
export function formatPath(path: Path): string {
  let text = '';
  for (const segment of path) {
    if (typeof segment === 'number') text += `[${segment}]`;
    else if (PLAIN_KEY.test(segment)) text += text === '' ? segment : `.${segment}`;
    else text += `[${JSON.stringify(segment)}]`;
  }
  return text;
}

export function toFieldErrors(violations: readonly Violation[]): FieldError[] {
  return violations.map(({ path, message }) => ({ path: formatPath(path), message }));
}

/** The same violations, told from further outside. */
export function below(path: Path, violations: readonly Violation[]): Violation[] {
  return violations.map((violation) => ({ ...violation, path: [...path, ...violation.path] }));
}
