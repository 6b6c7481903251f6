import { type ArgumentMetadata, StandardSchemaValidationPipe } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import { type Issue, formatPath, placeIssues } from './issues.js';
import { UnreadBody } from './unread-body.js';

const MAX_ERRORS = 100;

/**
 * Nest's pipe takes keys called `constructor` and `prototype` out of what it validates, silently and at any depth. In the
 * payload of a job they are data; `__proto__` is refused before it gets here, and the schemas name every other field.
 */
class FaithfulValidationPipe extends StandardSchemaValidationPipe {
  protected override stripProtoKeys(): void {}

  override async transform<T>(value: T, metadata: ArgumentMetadata): Promise<T> {
    if (value instanceof UnreadBody) value.refuse();
    return super.transform(value, metadata);
  }
}

/** Validates parameters against the schemas of their decorators: 422 with the path of each wrong field. */
export function validationPipe(): StandardSchemaValidationPipe {
  return new FaithfulValidationPipe({
    exceptionFactory: (issues: readonly Issue[]) =>
      AppError.invalid(
        placeIssues(issues)
          .slice(0, MAX_ERRORS)
          .map(({ path, message }) => ({ path: formatPath(path), message })),
      ),
  });
}
