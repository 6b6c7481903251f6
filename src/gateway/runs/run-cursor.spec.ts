import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import fc from 'fast-check';
import { type CursorPlace, MAX_CURSOR_LENGTH, type RunCursor, decodeRunCursor, encodeRunCursor } from './run-cursor.js';

const key = fc.record({
  major: fc.oneof(fc.integer(), fc.string(), fc.constant(-Infinity)),
  minor: fc.nat(999_999_999),
});
const upTo = fc.tuple(key, fc.string()).map(([at, subsystemId]) => ({ ...at, subsystemId }));
const last = fc.tuple(key, fc.string()).map(([at, runId]) => ({ ...at, runId }));
const optional = <T>(of: fc.Arbitrary<T>) => fc.option(of, { nil: undefined });
const place: fc.Arbitrary<CursorPlace> = fc.oneof(
  fc.record({ finished: fc.constant(true as const), total: optional(fc.nat()) }),
  fc.record({
    cursor: fc.string(),
    taken: fc.nat(500),
    last: optional(last),
    floor: optional(upTo),
    unordered: fc.boolean(),
  }),
);
const cursors: fc.Arbitrary<RunCursor> = fc.record({
  upTo: optional(upTo),
  places: fc.dictionary(fc.string(), place).map((each) => new Map(Object.entries(each))),
});
const invalid = expect.objectContaining({ code: Code.InvalidArgument });

describe('a cursor of runs', () => {
  it('holds what it was given, in characters that a URL takes as they are', () => {
    fc.assert(
      fc.property(cursors, (cursor) => {
        const text = encodeRunCursor(cursor, 'question');
        expect(text).toMatch(/^[A-Za-z0-9_-]+$/);
        expect(decodeRunCursor(text, 'question')).toEqual(cursor);
        expect(() => decodeRunCursor(text, 'another')).toThrow(invalid);
      }),
    );
  });

  it('refuses whatever else it is given', () => {
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.base64String().map((text) => `1j${text}`),
          fc.base64String().map((text) => `1z${text}`),
        ),
        (text) => {
          expect(() => decodeRunCursor(text, 'question')).toThrow(invalid);
        },
      ),
    );
    expect(() => decodeRunCursor('2jAAAA', 'question')).toThrow('another version');
  });

  it('refuses a number of runs that is none, which no answer could carry', () => {
    for (const f of [1.5, -7]) {
      const json = JSON.stringify({ q: 'question', p: [{ i: 'billing', f }] });
      expect(() => decodeRunCursor(`1j${Buffer.from(json).toString('base64url')}`, 'question')).toThrow(invalid);
    }
  });

  it('stays small with a thousand subsystems of which a page came from few', () => {
    const passed = { major: 1_700_000_000, minor: 5, subsystemId: 'subsystem-7' };
    const untouched = (i: number): [string, CursorPlace] => [`subsystem-${i}`, { cursor: '', taken: 0, floor: passed }];
    const places = new Map(Array.from({ length: 1_000 }, (_, i) => untouched(i)));
    expect(encodeRunCursor({ upTo: passed, places }, 'question').length).toBeLessThan(8_192);
  });

  it('refuses to be longer than 64 KiB, saying what to do', () => {
    // Ids that nothing compresses.
    const noise = (i: number): string => createHash('sha256').update(String(i)).digest('base64');
    const places = new Map(
      Array.from({ length: 1_500 }, (_, i): [string, CursorPlace] => [
        `s${i}`,
        { cursor: noise(i), taken: 1, last: { runId: noise(i + 5_000), major: i, minor: 0 } },
      ]),
    );
    expect(() => encodeRunCursor({ upTo: undefined, places }, 'question')).toThrow(
      expect.objectContaining({ code: Code.ResourceExhausted }),
    );
    expect(MAX_CURSOR_LENGTH).toBe(65_536);
  });
});
