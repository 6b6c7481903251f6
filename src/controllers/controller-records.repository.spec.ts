import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type TestDatabase, openTestDatabase } from '../../test/support/test-database.js';
import type { HeldLease } from '../leader-election/index.js';
import { ControllerRecordsRepository } from './controller-records.repository.js';

/** A lease that says it is held: what a leader believes that was paused. */
function leaseOf(epoch: number): HeldLease {
  const { signal } = new AbortController();
  return { duty: 'controller/sweep', epoch, signal, remainingMs: 1, assertHeld: () => undefined };
}

const LATER = { atOnce: false, firstDelayMs: 5_000 };
const SUCCESS = { durationMs: 10, nextInMs: 60_000, processed: 3, changed: 1 };

describe('ControllerRecordsRepository', () => {
  let database: TestDatabase;
  let records: ControllerRecordsRepository;
  const [older, newer] = [leaseOf(1), leaseOf(2)];
  const stored = () => records.find('sweep');

  beforeAll(async () => {
    database = await openTestDatabase();
    records = new ControllerRecordsRepository(database.connection);
  });
  afterAll(() => database.close());
  beforeEach(async () => {
    await database.connection.collection('controllers').deleteMany({});
    await records.ensure('sweep', new Date(0));
  });

  it('makes one record, however many ask for it at once, and leaves one that is there', async () => {
    await Promise.all(Array.from({ length: 5 }, () => records.ensure('raced', new Date(0))));
    await records.setPaused('raced', true, 'ada');
    await records.ensure('raced', new Date(1));
    expect(await records.list()).toMatchObject([
      { name: 'raced', paused: true, createdAt: new Date(0) },
      { name: 'sweep', paused: false },
    ]);
  });

  it('plans the first round by the delay, keeps what is planned for the next leader, or has it at once', async () => {
    expect((await records.adopt('sweep', older, LATER))?.dueInMs).toBe(5_000);
    const again = await records.adopt('sweep', newer, { atOnce: false, firstDelayMs: 1 });
    expect(again?.dueInMs).toBeGreaterThan(0);
    expect(again?.dueInMs).toBeLessThanOrEqual(5_000);
    expect((await records.adopt('sweep', newer, { ...LATER, atOnce: true }))?.dueInMs).toBe(0);
  });

  it('takes nothing from a leader of an earlier epoch, however sure that is of its lease', async () => {
    await records.adopt('sweep', older, LATER);
    await records.begin('sweep', older, 'old round');
    await records.adopt('sweep', newer, LATER);
    await records.begin('sweep', newer, 'new round');
    const before = await stored();
    expect(await records.adopt('sweep', older, LATER)).toBeNull();
    expect(await records.begin('sweep', older, 'another')).toBeNull();
    expect(await records.finish('sweep', older, 'old round', SUCCESS)).toBeNull();
    expect(await records.finish('sweep', older, 'new round', SUCCESS)).toBeNull();
    expect(await records.finish('sweep', newer, 'old round', SUCCESS)).toBeNull();
    await records.abandon('sweep', older, 'new round');
    expect(await stored()).toEqual(before);
    expect(await records.finish('sweep', newer, 'new round', SUCCESS)).toMatchObject({ processed: 3, startedAt: null });
  });

  it('answers requests that came before the round was begun, and not those after', async () => {
    await records.adopt('sweep', older, LATER);
    expect(await records.request('sweep')).toMatchObject({ requested: 1, answered: 0 });
    expect(await records.request('sweep')).toMatchObject({ requested: 2, answered: 0 });
    await records.begin('sweep', older, 'round');
    await records.request('sweep');
    expect(await records.finish('sweep', older, 'round', SUCCESS)).toMatchObject({ requested: 3, answered: 2 });
  });

  it('begins nothing and takes no request while it is paused, and counts failures until a success', async () => {
    await records.adopt('sweep', older, LATER);
    await records.begin('sweep', older, 'round');
    const failure = { durationMs: 10, nextInMs: 1_000, error: '$NOW is broken' };
    expect(await records.finish('sweep', older, 'round', failure)).toMatchObject({
      consecutiveErrors: 1,
      lastError: '$NOW is broken',
      lastSuccessAt: null,
    });
    expect(await records.setPaused('sweep', true, '$ada')).toMatchObject({ pausedBy: '$ada' });
    expect(await records.setPaused('sweep', true, 'bob')).toBeNull();
    expect(await records.begin('sweep', older, 'round')).toBeNull();
    expect(await records.request('sweep')).toBeNull();
    await records.setPaused('sweep', false, 'bob');
    await records.begin('sweep', older, 'next');
    const after = await records.finish('sweep', older, 'next', SUCCESS);
    expect(after).toMatchObject({ consecutiveErrors: 0, pausedBy: null, lastError: '$NOW is broken' });
    expect(Number(after?.nextRunAt) - Number(after?.lastSuccessAt)).toBe(SUCCESS.nextInMs);
  });
});
