import type { FieldError } from '../../errors/app-error.js';
import { formatPath } from '../../http/issues.js';

export type Path = ReadonlyArray<string | number>;

/** One broken rule, with the place as segments, so that it can be told in terms of JSON as well as of YAML documents. */
export interface Violation {
  readonly path: Path;
  readonly message: string;
}

export function toFieldErrors(violations: readonly Violation[]): FieldError[] {
  return violations.map(({ path, message }) => ({ path: formatPath(path), message }));
}

/** The same violations, told from further outside. */
export function below(path: Path, violations: readonly Violation[]): Violation[] {
  return violations.map((violation) => ({ ...violation, path: [...path, ...violation.path] }));
}
