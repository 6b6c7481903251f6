import { invalidArgument } from '../input/invalid-argument.js';
import { textProblem } from '../input/text-problem.js';

export const DEFAULT_PAGE_LIMIT = 50;
export const MAX_PAGE_LIMIT = 500;
export const MAX_BULK_IDS = 100;
/** Characters of an id, qualified or bare. */
export const MAX_ID_LENGTH = 2_048;
/** Characters of what is said for those who read it later. */
export const MAX_REASON_LENGTH = 4_096;
export const MAX_CURSOR_LENGTH = 65_536;
/** Values of one field of a filter. */
export const MAX_FILTER_VALUES = 100;
export const MAX_METADATA_PAIRS = 64;
/** Characters of `key=value`. */
export const MAX_METADATA_PAIR_LENGTH = 2_048;
/** Characters of a search, and of the field and the beginning that values are suggested of. */
export const MAX_SEARCH_LENGTHS = { query: 4_096, field: 256, prefix: 1_024 } as const;
export const MAX_GRANULARITY_LENGTH = 64;

/**
 * How many items a page may hold: 50 if the request does not say, at most 500 whatever it says.
 *
 * @throws ConnectError `invalid_argument` for a negative one.
 */
export function pageLimit(asked: number | undefined, field = 'pagination.limit'): number {
  if (asked === undefined || asked === 0) return DEFAULT_PAGE_LIMIT;
  if (asked < 0) throw invalidArgument({ field, description: `must not be negative, it is ${asked}` });
  return Math.min(asked, MAX_PAGE_LIMIT);
}

/** @throws ConnectError `invalid_argument` if the field is empty or longer than 2048 characters. */
export function requireId(id: string, field: string): string {
  const description = textProblem(id, MAX_ID_LENGTH, 1);
  if (description !== undefined) throw invalidArgument({ field, description });
  return id;
}

/** @throws ConnectError `invalid_argument` for no ids, more than 100 ids, or naming each that is none. */
export function requireBulkIds(ids: readonly string[], field: string): readonly string[] {
  if (ids.length === 0 || ids.length > MAX_BULK_IDS) {
    throw invalidArgument({ field, description: `must hold 1 to ${MAX_BULK_IDS} ids, there are ${ids.length}` });
  }
  const violations = ids.flatMap((id, index) => {
    const description = textProblem(id, MAX_ID_LENGTH, 1);
    return description === undefined ? [] : [{ field: `${field}[${index}]`, description }];
  });
  if (violations.length > 0) throw invalidArgument(...violations);
  return ids;
}
