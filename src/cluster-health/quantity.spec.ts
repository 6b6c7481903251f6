import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { parseQuantity } from './quantity.js';

describe('parseQuantity', () => {
  it.each([
    ['4', 4],
    ['500m', 0.5],
    ['100m', 0.1],
    ['16Gi', 16 * 2 ** 30],
    ['16384Ki', 16384 * 1024],
    ['1e3', 1000],
    ['1.5k', 1500],
    ['2E', 2e18],
    ['.5', 0.5],
    ['+3', 3],
  ])('reads %s', (text, value) => {
    expect(parseQuantity(text)).toBe(value);
  });

  it.each(['', 'x', '1KB', '1 Gi', '--1', '1e', 'Gi', '0x10', 'Infinity', '1m1'])('refuses %j', (text) => {
    expect(parseQuantity(text)).toBeUndefined();
  });

  it('reads whatever Kubernetes may write as a finite number', () => {
    const suffix = fc.constantFrom('', 'm', 'k', 'M', 'G', 'Ki', 'Mi', 'Gi', 'Ti', 'n', 'u', 'e2', 'E3');
    fc.assert(fc.property(fc.nat(), suffix, (digits, unit) => Number.isFinite(parseQuantity(`${digits}${unit}`))));
  });
});
