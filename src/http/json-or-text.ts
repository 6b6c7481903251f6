import { z } from 'zod';
import { placeIssues } from './issues.js';

/**
 * A body that is JSON of the schema, or text of another content type, which the body parser leaves as a string. Not a
 * union, which would hide which field is wrong. `id` is the schema's name in OpenAPI, to which a transform is opaque.
 */
export function jsonOrText<S extends z.ZodType>(schema: S, id: string) {
  const documented = z.unknown().meta({ $ref: `#/components/schemas/${id}` });
  return documented.transform((body, context): z.output<S> | string => {
    if (typeof body === 'string') return body;
    const parsed = schema.safeParse(body);
    if (parsed.success) return parsed.data;
    for (const { path, message } of placeIssues(parsed.error.issues)) {
      context.addIssue({ code: 'custom', path: [...path], message, input: body });
    }
    return z.NEVER;
  });
}
