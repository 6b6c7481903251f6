import { z } from 'zod';
import { AppError } from '../errors/app-error.js';

const SHAPE = /^[0-9a-f]{24}$/;

/** An id in a body or a query: 24 hex digits. */
export const objectId = z.string().regex(SHAPE, 'expected an id of 24 hex digits');

/** An id in a path. What cannot be an id names nothing: 404, not 422. */
export function objectIdParam(what: string): z.ZodType<string> {
  return z.string().transform((text) => {
    if (!SHAPE.test(text)) throw AppError.notFound(what);
    return text;
  });
}
