import { create } from '@bufbuild/protobuf';
import { DurationSchema, TimestampSchema, timestampDate } from '@bufbuild/protobuf/wkt';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { RunStatus, RunStatusSchema } from '../gen/flowwatch/v1/types_pb.js';
import { millisecondsOf, timeOf, timeRangeOf } from './wire-values.js';
import { valueOfWord, wordOf, wordsOf } from './wire-words.js';

const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

describe('values of the wire', () => {
  it('are times that read back as they were, to the millisecond', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: LAST_MS }), fc.integer({ min: 0, max: 999_999 }), (ms, below) => {
        const text = timeOf(
          create(TimestampSchema, { seconds: BigInt(Math.floor(ms / 1_000)), nanos: (ms % 1_000) * 1_000_000 + below }),
        );
        expect(text).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/);
        expect(Date.parse(text ?? '')).toBe(ms);
      }),
    );
  });

  it.each([
    ['none', undefined],
    ["Go's zero time", create(TimestampSchema, { seconds: -62_135_596_800n })],
    ['later than RFC 3339 can write', create(TimestampSchema, { seconds: 2n ** 62n })],
  ])('are no time: %s', (_name, time) => {
    expect(timeOf(time)).toBeNull();
  });

  it('are whole milliseconds', () => {
    expect(millisecondsOf(undefined)).toBeNull();
    expect(millisecondsOf(create(DurationSchema, { seconds: 2n, nanos: 1_600_000 }))).toBe(2_002);
    expect(millisecondsOf(create(DurationSchema, { seconds: -1n, nanos: -500_000_000 }))).toBe(-1_500);
  });

  it('are ranges whose open ends are not sent', () => {
    expect(timeRangeOf({})).toEqual({});
    const { timeRange } = timeRangeOf({ to: '2026-01-01T01:00:00+01:00' });
    expect(timeRange?.from).toBeUndefined();
    expect(timeRange?.to && timestampDate(timeRange.to).toISOString()).toBe('2026-01-01T00:00:00.000Z');
  });

  it('are words without the prefix of their enum', () => {
    expect(wordsOf(RunStatusSchema)).toEqual(['pending', 'running', 'succeeded', 'failed', 'canceled', 'paused']);
    for (const word of wordsOf(RunStatusSchema))
      expect(wordOf(RunStatusSchema, valueOfWord(RunStatusSchema, word))).toBe(word);
    expect([RunStatus.UNSPECIFIED, 99].map((value) => wordOf(RunStatusSchema, value))).toEqual(['unknown', 'unknown']);
    expect(() => valueOfWord(RunStatusSchema, 'unknown')).toThrow(RangeError);
  });
});
