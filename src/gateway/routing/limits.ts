import { invalidArgument } from '../input/invalid-argument.js';

export const DEFAULT_PAGE_LIMIT = 50;
export const MAX_PAGE_LIMIT = 500;
export const MAX_BULK_IDS = 100;
/** Characters of an id, qualified or bare. */
export const MAX_ID_LENGTH = 2_048;

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
  const description = idProblem(id);
  if (description !== undefined) throw invalidArgument({ field, description });
  return id;
}

/** @throws ConnectError `invalid_argument` for more than 100 ids, or naming each that is none. */
export function requireBulkIds(ids: readonly string[], field: string): readonly string[] {
  if (ids.length > MAX_BULK_IDS) {
    throw invalidArgument({ field, description: `must hold at most ${MAX_BULK_IDS} ids, there are ${ids.length}` });
  }
  const violations = ids.flatMap((id, index) => {
    const description = idProblem(id);
    return description === undefined ? [] : [{ field: `${field}[${index}]`, description }];
  });
  if (violations.length > 0) throw invalidArgument(...violations);
  return ids;
}

function idProblem(id: string): string | undefined {
  if (id === '') return 'must not be empty';
  return id.length > MAX_ID_LENGTH ? `must have at most ${MAX_ID_LENGTH} characters, it has ${id.length}` : undefined;
}
