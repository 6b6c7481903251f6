import { StandardSchemaValidationPipe } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import { type Issue, formatPath, placeIssues } from './issues.js';

const MAX_ERRORS = 100;

/** Validates parameters against the schemas of their decorators: 422 with the path of each wrong field. */
export function validationPipe(): StandardSchemaValidationPipe {
  return new StandardSchemaValidationPipe({
    exceptionFactory: (issues: readonly Issue[]) =>
      AppError.invalid(
        placeIssues(issues)
          .slice(0, MAX_ERRORS)
          .map(({ path, message }) => ({ path: formatPath(path), message })),
      ),
  });
}
