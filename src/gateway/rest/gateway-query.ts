import { z } from 'zod';
import { MAX_CURSOR_LENGTH, MAX_FILTER_VALUES, MAX_ID_LENGTH } from '../routing/limits.js';

/** Whatever stands in the path, decoded once: what is no id names nothing. */
export const pathId = z.string();

const noFields = z.strictObject({}).meta({ id: 'NoFields', description: 'There is nothing to say.', example: {} });
/** Body of what takes none: it may be left out, and a field in it is refused, not ignored. */
export const noBody = noFields.optional();

export const idQuery = z.string().min(1).max(MAX_ID_LENGTH);

/** Query parameters of every list over many subsystems, to be spread into its schema. */
export const gatewayPageQuery = {
  limit: z.coerce
    .number()
    .int()
    .min(1)
    .max(200)
    .default(50)
    .meta({ description: 'How many items at most, 1 to 200.', example: 50 }),
  cursor: z.string().min(1).max(MAX_CURSOR_LENGTH).optional().meta({ description: '`nextCursor` of the page before.' }),
};

/** A query parameter that may be repeated. */
export const repeated = <T extends z.ZodType>(item: T, most: number = MAX_FILTER_VALUES) =>
  z
    .union([item.transform((one) => [one]), z.array(item).max(most)])
    .optional()
    .meta({ description: 'May be repeated.' });
