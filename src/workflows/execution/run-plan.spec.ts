import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { NodeOutcome } from '../workflow.js';
import { type Dependency, isFinal, isSuccess, planNext } from './run-plan.js';

const ENDS = ['created', 'unchanged', 'conflict', 'failed', 'exists', 'timed-out'] as const;

/** A graph without cycles: each step comes after some of those before it. */
const graph = fc
  .integer({ min: 1, max: 12 })
  .chain((size) =>
    fc.tuple(
      ...Array.from({ length: size }, (_, index) =>
        fc.subarray([...Array.from({ length: index }).keys()]).chain((sources) =>
          fc.tuple(
            fc.constant(sources),
            fc.array(fc.constantFrom('applied' as const, 'done' as const), {
              minLength: sources.length,
              maxLength: sources.length,
            }),
          ),
        ),
      ),
    ),
  )
  .map((rows): Dependency[][] =>
    rows.map(([sources, needs]) => sources.map((index, at) => ({ index, needs: needs[at] ?? 'done' }))),
  );

const isApplied = (outcome: NodeOutcome | undefined): boolean =>
  outcome === 'created' || outcome === 'unchanged' || outcome === 'waiting' || outcome === 'timed-out';

describe('planNext', () => {
  it('starts nothing before its sources are as the edge says, and brings every step to one end', () => {
    fc.assert(
      fc.property(
        graph,
        fc.array(fc.constantFrom(...ENDS), { minLength: 12, maxLength: 12 }),
        fc.boolean(),
        fc.option(fc.nat({ max: 12 }), { nil: undefined }),
        fc.infiniteStream(fc.nat()),
        (after, ends, stopOnFailure, cancelAfter, choices) => {
          const outcomes: NodeOutcome[] = after.map(() => 'pending');
          const started = new Set<number>();
          let hasFailed = false;
          for (let turn = 0; outcomes.some((outcome) => !isFinal(outcome)); turn += 1) {
            expect(turn).toBeLessThan(200);
            const cancelled = cancelAfter !== undefined && turn >= cancelAfter;
            const steps = outcomes.map((outcome, index) => ({ outcome, after: after[index] ?? [] }));
            const { start, skip } = planNext(steps, { stopOnFailure, cancelled });
            if (cancelled || (stopOnFailure && hasFailed)) expect(start).toEqual([]);
            for (const { index } of skip) {
              expect(outcomes[index]).toBe('pending');
              outcomes[index] = 'skipped';
            }
            for (const index of start) {
              expect(started.has(index)).toBe(false);
              started.add(index);
              for (const { index: source, needs } of after[index] ?? []) {
                expect(
                  needs === 'applied' ? isApplied(outcomes[source]) : isSuccess(outcomes[source] ?? 'failed'),
                ).toBe(true);
              }
              outcomes[index] = 'applying';
            }
            // Something in progress moves on, as chance has it.
            const moving = outcomes.flatMap((outcome, index) =>
              isFinal(outcome) || outcome === 'pending' ? [] : [index],
            );
            const index = moving[(choices.next().value ?? 0) % Math.max(1, moving.length)];
            if (index === undefined) continue;
            const end = ends[index] ?? 'created';
            const isTaken = isApplied(end);
            outcomes[index] = outcomes[index] === 'applying' && isTaken ? 'waiting' : end;
            hasFailed ||= isFinal(outcomes[index]) && !isSuccess(outcomes[index]);
          }
          // Without a failure or a cancellation nothing is skipped.
          if (!hasFailed && cancelAfter === undefined) expect(outcomes).not.toContain('skipped');
        },
      ),
      { numRuns: 300 },
    );
  });

  it('with continue skips only what depends on a failed step', () => {
    fc.assert(
      fc.property(graph, fc.nat(), (after, choice) => {
        const failed = choice % after.length;
        const outcomes = after.map((_, index): NodeOutcome => (index === failed ? 'conflict' : 'pending'));
        const steps = outcomes.map((outcome, index) => ({ outcome, after: after[index] ?? [] }));
        const { skip } = planNext(steps, { stopOnFailure: false, cancelled: false });
        const dependents = new Set([failed]);
        after.forEach((sources, index) => {
          if (sources.some((source) => dependents.has(source.index))) dependents.add(index);
        });
        dependents.delete(failed);
        expect(new Set(skip.map(({ index }) => index))).toEqual(dependents);
      }),
    );
  });

  it('tells what it skips for, and whose health nothing waits for any more', () => {
    const steps = [
      { outcome: 'failed', after: [] },
      { outcome: 'waiting', after: [] },
      {
        outcome: 'pending',
        after: [
          { index: 0, needs: 'applied' },
          { index: 1, needs: 'done' },
        ],
      },
      { outcome: 'pending', after: [] },
    ] as const;
    expect(planNext(steps, { stopOnFailure: false, cancelled: false })).toEqual({
      start: [3],
      skip: [{ index: 2, reason: 'DependencyFailed', becauseOf: 0 }],
      unneeded: [1],
    });
    expect(planNext(steps, { stopOnFailure: true, cancelled: false }).skip).toEqual([
      { index: 2, reason: 'DependencyFailed', becauseOf: 0 },
      { index: 3, reason: 'RunStopped', becauseOf: 0 },
    ]);
    expect(planNext(steps, { stopOnFailure: true, cancelled: true }).skip).toMatchObject([
      { index: 2, reason: 'RunCancelled' },
      { index: 3, reason: 'RunCancelled' },
    ]);
  });
});
