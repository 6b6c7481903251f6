import { applyDecorators } from '@nestjs/common';
import { ApiDefaultResponse } from '@nestjs/swagger';
import { z } from 'zod';

/** RFC 9457, for OpenAPI. */
export const problemSchema = z
  .object({
    type: z.string(),
    title: z.string().meta({ description: 'What kind of problem it is.' }),
    status: z.int(),
    detail: z.string().meta({ description: 'What happened, where, and what to do.' }),
    code: z.string().meta({ description: 'Stable code to act on.', example: 'request.invalid' }),
    errors: z
      .array(z.object({ path: z.string(), message: z.string() }))
      .optional()
      .meta({ description: 'Each wrong field of the input.' }),
    requestId: z.string().optional(),
  })
  .meta({ id: 'Problem' });

/** Documents, for all routes of a class, that errors are problem documents. */
export function ApiProblems(): ClassDecorator {
  return applyDecorators(
    ApiDefaultResponse({
      description: 'A problem (RFC 9457)',
      content: { 'application/problem+json': { schema: { $ref: '#/components/schemas/Problem' } } },
    }),
  );
}
