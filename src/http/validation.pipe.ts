import { StandardSchemaValidationPipe } from '@nestjs/common';
import { AppError, type FieldError } from '../errors/app-error.js';

interface Issue {
  readonly message: string;
  readonly path?: ReadonlyArray<PropertyKey | { readonly key: PropertyKey }> | undefined;
}

const MAX_ERRORS = 100;

/** `nodes[2].manifest.kind`; keys that are not identifiers are quoted: `labels["a/b"]`. */
export function formatPath(path: Issue['path'] = []): string {
  return path.reduce<string>((text, segment) => {
    const key = typeof segment === 'object' ? segment.key : segment;
    if (typeof key === 'number') return `${text}[${key}]`;
    const name = String(key);
    if (!/^[A-Za-z_$][\w$]*$/.test(name)) return `${text}[${JSON.stringify(name)}]`;
    return text === '' ? name : `${text}.${name}`;
  }, '');
}

/** Validates parameters against the schemas of their decorators: 422 with the path of each wrong field. */
export function validationPipe(): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({
    exceptionFactory: (issues: readonly Issue[]) => {
      const errors: FieldError[] = issues
        .slice(0, MAX_ERRORS)
        .map((issue) => ({ path: formatPath(issue.path), message: issue.message }));
      return AppError.invalid(errors);
    },
  });
}
