import '../../../test/support/quiet-logger.js';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ENTITIES, StreamWorld, WORLD_KEYS } from '../../../test/support/fake-stream-world.js';

const client = fc.nat({ max: 2 });
const burst = fc.record({
  burst: fc.integer({ min: 2, max: 12 }),
  of: fc.integer({ min: 1, max: ENTITIES.length }),
  key: fc.constantFrom(...WORLD_KEYS),
});
const step = fc.oneof(
  { weight: 8, arbitrary: fc.record({ store: fc.constantFrom(...ENTITIES), key: fc.constantFrom(...WORLD_KEYS) }) },
  { weight: 8, arbitrary: fc.record({ publish: fc.nat({ max: 3 }) }) },
  { weight: 3, arbitrary: fc.constant('read' as const) },
  { weight: 3, arbitrary: fc.constant('rest' as const) },
  { weight: 5, arbitrary: fc.constant('turn' as const) },
  { weight: 3, arbitrary: burst },
  { weight: 4, arbitrary: fc.record({ connect: client }) },
  { weight: 2, arbitrary: fc.record({ cut: client, share: fc.constantFrom(0, 0.3, 0.6, 1) }) },
  { weight: 3, arbitrary: fc.record({ stick: client }) },
  { weight: 2, arbitrary: fc.record({ release: client }) },
  { weight: 2, arbitrary: fc.record({ readOnce: client }) },
  { weight: 1, arbitrary: fc.record({ wait: fc.constantFrom(1_000, 16_000, 200_000, 400_000) }) },
  { weight: 1, arbitrary: fc.constant('restart' as const) },
);

const setup = fc.record({
  queueEvents: fc.integer({ min: 1, max: 4 }),
  replayEvents: fc.constantFrom(0, 3, 10, 1_000),
  budgetBytes: fc.constantFrom(3_000, 1 << 20, 1 << 20),
  clientKeys: fc.array(fc.subarray([...WORLD_KEYS], { minLength: 1 }), { minLength: 3, maxLength: 3 }),
});

describe('joining and resuming a stream', () => {
  it('shows the state of the source, without gap or repeat, whatever interleaves', async () => {
    const seen = { lagged: 0, coalesced: 0, resumed: 0, replayed: 0, snapshotsShared: 0, replayEvicted: 0 };
    await fc.assert(
      fc.asyncProperty(
        fc.array(step, { minLength: 10, maxLength: 100, size: 'max' }),
        setup,
        fc.boolean(),
        async (script, settings, isWarm) => {
          const world = new StreamWorld(settings);
          await world.run([{ connect: 0 }, { connect: 1 }, { connect: 2 }, isWarm ? 'rest' : 'turn', ...script]);
          const stats = await world.finish();
          for (const each of stats) {
            const counted = { ...each.totals, replayEvicted: each.replayEvicted };
            for (const name of Object.keys(seen) as (keyof typeof seen)[]) seen[name] += counted[name];
          }
          expect(stats.at(-1)).toMatchObject({ slowSessions: 0, queuedBytes: 0, queuedEvents: 0 });
        },
      ),
      { numRuns: 400 },
    );
    // The property says nothing unless all this happened now and then.
    for (const [name, count] of Object.entries(seen)) expect({ [name]: count > 20 }).toEqual({ [name]: true });
  }, 120_000);
});
