import { describe, expect, it } from '@jest/globals';
import { sumResults } from './run-results.js';

describe('sumResults', () => {
  it('sums the runs and ends with the totals', () => {
    const verdict = sumResults([
      { passed: 3, failed: 0, skipped: [] },
      { passed: 4, failed: 0, skipped: [] },
    ]);
    expect(verdict).toEqual({ ok: true, lines: ['7 passed, 0 failed, 0 skipped'] });
  });

  it.each([
    ['nothing ran', []],
    ['every run was empty', [{ passed: 0, failed: 0, skipped: [] }]],
    ['one failed', [{ passed: 3, failed: 1, skipped: [] }]],
  ])('is not content when %s', (_, runs) => {
    expect(sumResults(runs).ok).toBe(false);
  });

  it('names what was skipped and is not content', () => {
    const verdict = sumResults([{ passed: 3, failed: 0, skipped: ['a cluster does things'] }]);
    expect(verdict.ok).toBe(false);
    expect(verdict.lines).toEqual([
      'skipped, which is not allowed here: a cluster does things',
      '3 passed, 0 failed, 1 skipped',
    ]);
  });
});
