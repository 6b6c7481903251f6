import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  HELD_STATES,
  INITIAL_STATES,
  JOB_EVENTS,
  JOB_STATES,
  type JobEvent,
  type JobState,
  TERMINAL_STATES,
  UNFINISHED_STATES,
  afterAttempt,
  isTerminal,
  statesAfter,
  statesBefore,
} from './job-state.js';

const state = fc.constantFrom(...JOB_STATES);
const event = fc.constantFrom(...JOB_EVENTS);

/** The states that are reached from `from` by the given events only. */
function reachable(from: readonly JobState[], events: readonly JobEvent[]): Set<JobState> {
  const found = new Set(from);
  for (const each of found) for (const by of events) for (const next of statesAfter(by, each)) found.add(next);
  return found;
}

describe('the states of a job', () => {
  it('are all reached from the first ones', () => {
    expect(reachable(INITIAL_STATES, JOB_EVENTS)).toEqual(new Set(JOB_STATES));
  });

  it('leave a final one only by a retry', () => {
    fc.assert(
      fc.property(state, event, (from, by) => {
        if (isTerminal(from) && statesAfter(by, from).length > 0) expect(by).toBe('retry');
        if (by === 'retry') for (const to of statesAfter(by, from)) expect(isTerminal(to)).toBe(false);
      }),
    );
    expect(statesAfter('retry', 'completed')).toEqual([]);
  });

  it('come to an end without any user and any agent, by reconcilers alone', () => {
    for (const from of UNFINISHED_STATES) {
      const ends = [...reachable([from], ['due', 'admit', 'release', 'expire'])].filter(isTerminal);
      expect([from, ends.length > 0]).toEqual([from, true]);
    }
  });

  it('are held exactly between a claim and the end of the attempt', () => {
    fc.assert(
      fc.property(state, event, (from, by) => {
        const isHeld = (each: JobState): boolean => (HELD_STATES as readonly JobState[]).includes(each);
        for (const to of statesAfter(by, from)) {
          if (!isHeld(from) && isHeld(to)) expect(by).toBe('claim');
          if (isHeld(from) && !isHeld(to)) expect(['complete', 'fail', 'release']).toContain(by);
        }
      }),
    );
  });

  it('accept one completion: after any end nothing but a retry and a claim leads to another', () => {
    const afterwards = reachable(
      TERMINAL_STATES,
      JOB_EVENTS.filter((each) => each !== 'retry'),
    );
    expect(afterwards).toEqual(new Set(TERMINAL_STATES));
  });

  it('tell the same table forwards and backwards', () => {
    fc.assert(
      fc.property(state, event, (from, by) => {
        expect(statesBefore(by).includes(from)).toBe(statesAfter(by, from).length > 0);
      }),
    );
  });
});

describe('afterAttempt', () => {
  const end = fc.record({
    attempts: fc.integer({ min: 1, max: 20 }),
    maxRetries: fc.integer({ min: 0, max: 20 }),
    cancelRequested: fc.boolean(),
    isRetryable: fc.boolean(),
  });

  it('is a step of the table', () => {
    fc.assert(
      fc.property(end, (attempt) => {
        expect(statesAfter('fail', 'running')).toContain(afterAttempt(attempt));
        expect(statesAfter('release', 'claimed')).toContain(afterAttempt(attempt));
        expect(statesAfter('release', 'running')).toContain(afterAttempt({ ...attempt, isAgentRemoved: true }));
      }),
    );
  });

  it('tries 1 + maxRetries times, unless told that it is of no use or not wanted', () => {
    fc.assert(
      fc.property(end, ({ maxRetries }) => {
        const tries = (attempts: number): JobState =>
          afterAttempt({ attempts, maxRetries, cancelRequested: false, isRetryable: true });
        if (maxRetries > 0) expect(tries(maxRetries)).toBe('scheduled');
        expect(tries(maxRetries + 1)).toBe('failed');
      }),
    );
    const attempt = { attempts: 1, maxRetries: 3, cancelRequested: false, isRetryable: true };
    expect(afterAttempt(attempt)).toBe('scheduled');
    expect(afterAttempt({ ...attempt, isRetryable: false })).toBe('failed');
    expect(afterAttempt({ ...attempt, cancelRequested: true })).toBe('canceled');
    expect(afterAttempt({ ...attempt, isAgentRemoved: true })).toBe('queued');
    expect(afterAttempt({ ...attempt, isAgentRemoved: true, attempts: 4 })).toBe('failed');
    expect(afterAttempt({ ...attempt, isAgentRemoved: true, cancelRequested: true })).toBe('canceled');
  });
});
