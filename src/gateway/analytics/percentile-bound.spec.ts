import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import {
  GetLatencyResponseSchema,
  GetStepDurationResponseSchema,
  StepDurationEntrySchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { toNanos } from '../routing/wire-time.js';
import { mergeLatency } from './merge-latency.js';
import { mergeStepDuration } from './merge-step-duration.js';
import { type Percentiles, boundedPercentiles, greatestPercentiles } from './percentile-bound.js';

const KEYS = ['p50', 'p95', 'p99'] as const;
const anySamples = fc.array(fc.nat(10_000), { minLength: 1, maxLength: 60 });
const anyFleet = fc.array(anySamples, { minLength: 1, maxLength: 5 });

/** By nearest rank, as FlowWatch has them. */
function percentilesOf(samples: readonly number[]): Percentiles {
  const sorted = samples.toSorted((a, b) => a - b);
  const at = (percent: number) => durationFromMs(sorted[Math.ceil((percent * sorted.length) / 100) - 1] ?? 0);
  return { p50: at(50), p95: at(95), p99: at(99) };
}

const ms = (duration: Percentiles['p50']) => (duration ? Number(toNanos(duration)) / 1e6 : 0);
const shape = (percentiles: Percentiles) => KEYS.map((key) => ms(percentiles[key]));
const weighed = (samples: readonly number[]) => ({
  percentiles: percentilesOf(samples),
  samples: BigInt(samples.length),
});

describe('percentiles of several subsystems', () => {
  it('are never told lower than they are, nor higher than the greatest of theirs', () => {
    fc.assert(
      fc.property(anyFleet, (fleet) => {
        const truth = shape(percentilesOf(fleet.flat()));
        const greatest = shape(greatestPercentiles(fleet.map(percentilesOf)));
        const bounded = shape(boundedPercentiles(fleet.map(weighed)));
        KEYS.forEach((_, index) => {
          expect(bounded[index]).toBeGreaterThanOrEqual(truth[index] ?? NaN);
          expect(greatest[index]).toBeGreaterThanOrEqual(bounded[index] ?? NaN);
        });
        expect(bounded).toEqual(bounded.toSorted((a, b) => a - b));
        expect(shape(boundedPercentiles(fleet.toReversed().map(weighed)))).toEqual(bounded);
      }),
    );
  });

  it('are told only as far as anybody tells them', () => {
    const [p50, p95] = [durationFromMs(1), durationFromMs(2)];
    expect(greatestPercentiles([{ p50 }, { p50, p95 }, {}])).toEqual({ p50, p95, p99: undefined });
  });

  it('are exact for one', () => {
    fc.assert(
      fc.property(anySamples, (samples) => {
        expect(shape(boundedPercentiles([weighed(samples)]))).toEqual(shape(percentilesOf(samples)));
      }),
    );
  });

  it('are not lifted by a few slow samples among many', () => {
    const many = Array.from({ length: 1_000 }, (_, index) => index + 1);
    expect(shape(boundedPercentiles([weighed(many), weighed([60_000])]))).toEqual([950, 990, 60_000]);
  });

  it('are the greatest where the number of samples is not told', () => {
    const percentiles = percentilesOf([60_000]);
    const parts = [weighed([1, 2, 3]), { percentiles, samples: 0n }];
    expect(shape(boundedPercentiles(parts))).toEqual([60_000, 60_000, 60_000]);
  });
});

describe('merged latency', () => {
  const hour = timestampFromMs(3_600_000);
  const part = (samples: readonly number[]) =>
    create(GetLatencyResponseSchema, { buckets: [{ timestamp: hour, ...percentilesOf(samples) }] });
  const idle = create(GetLatencyResponseSchema, { buckets: [{ timestamp: hour, ...percentilesOf([]) }] });

  it('is exact where one subsystem alone had runs', () => {
    const { value, isApproximate } = mergeLatency([idle, part([100, 200, 300]), idle]);
    expect(value.buckets.map(shape)).toEqual([[200, 300, 300]]);
    expect(isApproximate).toBe(false);
  });

  it('is an upper bound, and says so, where several had', () => {
    const { value, isApproximate } = mergeLatency([part([100]), part([300])]);
    expect(value.buckets.map(shape)).toEqual([[300, 300, 300]]);
    expect(isApproximate).toBe(true);
  });
});

describe('merged step durations', () => {
  const step = (stepName: string, samples: readonly number[]) => {
    const percentiles = percentilesOf(samples);
    return { stepName, execution: percentiles, total: percentiles, sampleCount: BigInt(samples.length) };
  };
  const report = (...steps: ReturnType<typeof step>[]) => create(GetStepDurationResponseSchema, { steps });

  it('passes on what a single subsystem says', () => {
    const only = create(GetStepDurationResponseSchema, {
      steps: [{ ...step('pay', [10]), isBottleneck: true }],
      bottleneckThreshold: durationFromMs(5),
    });
    expect(mergeStepDuration([report(), only])).toEqual({ value: only, isApproximate: false });
  });

  it('is exact for steps of one, a bound for steps of several, and finds the bottleneck of all', () => {
    const { value, isApproximate } = mergeStepDuration([
      report(step('pay', [10, 20]), step('ship', [10])),
      report(step('pay', [30]), step('pack', [500])),
    ]);
    expect(isApproximate).toBe(true);
    expect(value.steps.map(({ stepName, sampleCount }) => [stepName, sampleCount])).toEqual([
      ['pack', 1n],
      ['pay', 3n],
      ['ship', 1n],
    ]);
    expect(value.steps.map(({ total }) => ms(total?.p95))).toEqual([500, 30, 10]);
    // Twice the median of 10, 30 and 500.
    expect(ms(value.bottleneckThreshold)).toBe(60);
    expect(value.steps.filter(({ isBottleneck }) => isBottleneck).map(({ stepName }) => stepName)).toEqual(['pack']);
  });

  it('takes what a subsystem does not tell for untold, not for zero', () => {
    const untold = create(GetStepDurationResponseSchema, { steps: [{ stepName: 'pay', sampleCount: 1_000n }] });
    const { execution, queueWait, sampleCount } =
      mergeStepDuration([report(step('pay', [500])), untold]).value.steps[0] ?? create(StepDurationEntrySchema);
    expect(ms(execution?.p95)).toBe(500);
    expect(queueWait).toBeUndefined();
    expect(sampleCount).toBe(1_001n);
  });

  it('does not claim to be approximate where no step is shared', () => {
    expect(mergeStepDuration([report(step('pay', [10])), report(step('ship', [10]))]).isApproximate).toBe(false);
  });
});
