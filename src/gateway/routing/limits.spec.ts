import { describe, expect, it } from '@jest/globals';
import { Code, ConnectError } from '@connectrpc/connect';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';
import { MAX_ID_LENGTH, pageLimit, requireBulkIds, requireId } from './limits.js';

/** Paths of the fields that are told to be wrong. */
function wrongFields(check: () => unknown): string[] {
  try {
    check();
  } catch (error) {
    const refused = ConnectError.from(error);
    expect(refused.code).toBe(Code.InvalidArgument);
    return refused.findDetails(BadRequestSchema).flatMap((detail) => detail.fieldViolations.map(({ field }) => field));
  }
  return [];
}

describe('the limits', () => {
  it('of a page are 50 unless said otherwise, and 500', () => {
    expect([undefined, 0, 1, 499, 500, 501, 2 ** 31 - 1].map((limit) => pageLimit(limit))).toEqual([
      50, 50, 1, 499, 500, 500, 500,
    ]);
    expect(wrongFields(() => pageLimit(-1))).toEqual(['pagination.limit']);
    expect(wrongFields(() => pageLimit(-1, 'limit'))).toEqual(['limit']);
  });

  it('of an id are 1 and 2048 characters', () => {
    expect(requireId('x'.repeat(MAX_ID_LENGTH), 'run_id')).toHaveLength(MAX_ID_LENGTH);
    expect(wrongFields(() => requireId('x'.repeat(MAX_ID_LENGTH + 1), 'run_id'))).toEqual(['run_id']);
    expect(wrongFields(() => requireId('', 'run_id'))).toEqual(['run_id']);
  });

  it('of a bulk request are 1 to 100 ids, each of which is checked', () => {
    const ids = Array.from({ length: 101 }, (_, index) => `run-${index}`);
    expect(requireBulkIds(ids.slice(1), 'run_ids')).toHaveLength(100);
    for (const wrong of [ids, []]) expect(wrongFields(() => requireBulkIds(wrong, 'run_ids'))).toEqual(['run_ids']);
    expect(wrongFields(() => requireBulkIds(['a', '', 'b', ''], 'run_ids'))).toEqual(['run_ids[1]', 'run_ids[3]']);
  });

  it('are told in words too', () => {
    expect(() => pageLimit(-7)).toThrow('pagination.limit must not be negative, it is -7');
  });
});
