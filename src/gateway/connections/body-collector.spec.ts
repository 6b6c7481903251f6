import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BodyCollector } from './body-collector.js';

const MAX_BYTES = 1_000_000;
const chunks = fc
  .array(fc.tuple(fc.integer({ min: 0, max: 150_000 }), fc.integer({ min: 0, max: 255 })), { maxLength: 9 })
  .map((parts) => parts.map(([length, value]) => new Uint8Array(length).fill(value)));

describe('BodyCollector', () => {
  it('gives what came, whatever other answers come meanwhile and are dropped', () => {
    fc.assert(
      fc.property(chunks, chunks, fc.boolean(), (ours, theirs, isDropped) => {
        const [collector, other] = [new BodyCollector(MAX_BYTES), new BodyCollector(MAX_BYTES)];
        for (let i = 0; i < Math.max(ours.length, theirs.length); i += 1) {
          if (ours[i]) collector.add(ours[i] ?? new Uint8Array());
          if (theirs[i]) other.add(theirs[i] ?? new Uint8Array());
        }
        if (isDropped) other.drop();
        const expected = Buffer.concat(ours);
        if (expected.length > MAX_BYTES) return;
        const body = collector.takeBody();
        other.drop();
        new BodyCollector(MAX_BYTES).add(new Uint8Array(400_000).fill(7));
        expect(Buffer.compare(Buffer.from(body), expected)).toBe(0);
      }),
      { numRuns: 60 },
    );
  });

  it('refuses what is beyond its limit, announced or not, and takes nothing after it was dropped', () => {
    const collector = new BodyCollector(MAX_BYTES);
    expect(collector.begin(200, String(MAX_BYTES + 1))).toMatchObject({ kind: 'oversized' });
    expect(collector.begin(200, String(MAX_BYTES))).toBeUndefined();
    expect(collector.add(new Uint8Array(MAX_BYTES))).toBeUndefined();
    expect(collector.add(new Uint8Array(1))).toMatchObject({ kind: 'oversized' });
    collector.drop();
    expect([collector.add(new Uint8Array(1)), collector.takeBody().length]).toEqual([undefined, 0]);
    const ofError = new BodyCollector(MAX_BYTES);
    expect(ofError.begin(500, String(64 * 1024 + 1))).toMatchObject({ kind: 'oversized' });
  });
});
