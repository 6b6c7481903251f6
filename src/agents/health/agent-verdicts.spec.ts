import { describe, expect, it } from '@jest/globals';
import { type HealthRound, judge } from './agent-verdicts.js';

const TIMES = { periodMs: 30_000, staleMs: 90_000 };
const START = Date.UTC(2026, 0, 1);
const at = (ms: number): Date => new Date(START + ms);
const QUIET: HealthRound = { at: at(0), missedAt: null, massSince: null };

describe('judge', () => {
  it.each([
    [100, 55, null],
    [100, 56, 'most_vanished'],
    [2, 2, null],
    [3, 3, 'most_vanished'],
    [4, 2, null],
    [0, 0, null],
  ])('of %d watched agents %d vanished: %s', (watched, vanished, hold) => {
    expect(judge(QUIET, at(30_000), { watched, vanished }, TIMES).hold).toBe(hold);
  });

  it('holds a mass back for the time of one verdict, then believes it', () => {
    const counts = { watched: 10, vanished: 10 };
    const holds: unknown[] = [];
    let round: HealthRound = QUIET;
    for (let ms = 30_000; ms <= 150_000; ms += 30_000) {
      const judged = judge(round, at(ms), counts, TIMES);
      holds.push(judged.hold);
      ({ round } = judged);
    }
    expect(holds).toEqual(['most_vanished', 'most_vanished', 'most_vanished', null, null]);
    expect(judge(round, at(180_000), { watched: 10, vanished: 1 }, TIMES).round.massSince).toBeNull();
  });

  it('holds back after missed rounds, whoever led them', () => {
    const one = { watched: 10, vanished: 1 };
    expect(judge(null, at(0), one, TIMES).hold).toBeNull();
    expect(judge(QUIET, at(60_000), one, TIMES).hold).toBeNull();
    let judged = judge(QUIET, at(60_001), one, TIMES);
    expect(judged.hold).toBe('missed_rounds');
    judged = judge(judged.round, at(150_000), one, TIMES);
    // Another gap: it begins anew.
    expect(judged.hold).toBe('missed_rounds');
    for (const ms of [180_000, 210_000, 239_999]) {
      judged = judge(judged.round, at(ms), one, TIMES);
      expect(judged.hold).toBe('missed_rounds');
    }
    expect(judge(judged.round, at(240_000), one, TIMES).hold).toBeNull();
  });

  it('forgets holds that began in the future when the time jumps back', () => {
    const before = { at: at(600_000), missedAt: at(600_000), massSince: at(600_000) };
    const { hold, round } = judge(before, at(0), { watched: 10, vanished: 1 }, TIMES);
    expect(hold).toBeNull();
    expect(round).toEqual({ at: at(0), missedAt: null, massSince: null });
    expect(judge(before, at(0), { watched: 3, vanished: 3 }, TIMES).round.massSince).toEqual(at(0));
  });
});
