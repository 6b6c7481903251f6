import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { HEALTHS, type Health } from './resource.js';
import { summarizeHealth } from './resource-health.js';
import { compareResourceVersions, isOlder } from './resource-version.js';

const at = (ms: number): Date => new Date(ms);
const group = (health: Health, count: number, first: number, last: number) => ({
  health,
  count,
  firstSince: at(first),
  lastSince: at(last),
});

describe('summarizeHealth', () => {
  it('is nothing without resources', () => {
    expect(summarizeHealth([])).toEqual({ health: null, since: null, counts: {} });
  });

  it('takes the worst, since the first that had it', () => {
    const groups = [group('healthy', 3, 1, 9), group('degraded', 2, 5, 7), group('progressing', 1, 2, 2)];
    expect(summarizeHealth(groups)).toEqual({
      health: 'degraded',
      since: at(5),
      counts: { healthy: 3, degraded: 2, progressing: 1 },
    });
  });

  it('is well since the last one became so', () => {
    expect(summarizeHealth([group('healthy', 2, 1, 4), group('completed', 1, 6, 6)])).toMatchObject({
      health: 'healthy',
      since: at(6),
    });
  });

  it('sums up several groups of one health', () => {
    expect(summarizeHealth([group('unknown', 1, 3, 3), group('unknown', 2, 1, 2)])).toMatchObject({
      since: at(1),
      counts: { unknown: 3 },
    });
  });

  it('knows the place of every health', () => {
    for (const health of HEALTHS) expect(summarizeHealth([group(health, 1, 1, 1)]).health).toBe(health);
  });
});

describe('compareResourceVersions', () => {
  it('orders versions as the numbers that they are, also beyond 2^53', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 2n ** 90n }), fc.bigInt({ min: 0n, max: 2n ** 90n }), (a, b) => {
        const order = a < b ? -1 : a > b ? 1 : 0;
        expect(Math.sign(compareResourceVersions(String(a), String(b)))).toBe(order);
        expect(isOlder(String(a), String(b))).toBe(a < b);
      }),
    );
  });

  it('calls nothing older that cannot be compared', () => {
    expect(isOlder('abc', '5')).toBe(false);
    expect(isOlder('1', '05')).toBe(false);
  });
});
