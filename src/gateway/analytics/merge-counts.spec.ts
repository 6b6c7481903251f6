import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import {
  type GetStepHeatmapResponse,
  GetFailureRateResponseSchema,
  GetStepHeatmapResponseSchema,
  GetThroughputResponseSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { durationOf, toNanos } from '../routing/wire-time.js';
import { mergeFailureRate } from './merge-failure-rate.js';
import { mergeStepHeatmap } from './merge-step-heatmap.js';
import { mergeThroughput } from './merge-throughput.js';

/** One execution of a step; its run has the same outcome. */
interface Sample {
  readonly hour: number;
  readonly step: string;
  readonly failed: boolean;
  readonly nanos: bigint;
}

const anySample: fc.Arbitrary<Sample> = fc.record({
  hour: fc.nat(3),
  step: fc.constantFrom('pay', 'ship', 'pack'),
  failed: fc.boolean(),
  nanos: fc.bigInt({ min: 0n, max: 10n ** 12n }),
});
/** What each of some subsystems has. */
const anyFleet = fc.array(fc.array(anySample, { maxLength: 15 }), { maxLength: 4 });

const timeOf = (hour: number) => timestampFromMs(hour * 3_600_000);
const MAX_INT32 = 2 ** 31 - 1;

function throughputOf(samples: readonly Sample[]) {
  const buckets = [...Map.groupBy(samples, ({ hour }) => hour)].map(([hour, same]) => ({
    timestamp: timeOf(hour),
    succeeded: same.filter(({ failed }) => !failed).length,
    failed: same.filter(({ failed }) => failed).length,
    total: same.length,
  }));
  return create(GetThroughputResponseSchema, { buckets });
}

function failureRateOf(samples: readonly Sample[]) {
  const buckets = [...Map.groupBy(samples, ({ hour }) => hour)].map(([hour, same]) => {
    const failedRuns = same.filter(({ failed }) => failed).length;
    return { timestamp: timeOf(hour), failedRuns, totalRuns: same.length, rate: failedRuns / same.length };
  });
  return create(GetFailureRateResponseSchema, { buckets });
}

function heatmapOf(samples: readonly Sample[]): GetStepHeatmapResponse {
  const cells = [...Map.groupBy(samples, ({ hour, step }) => `${step} ${hour}`).values()].map((same) => {
    const failedExecutions = same.filter(({ failed }) => failed).length;
    return {
      stepName: same[0]?.step ?? '',
      bucketStart: timeOf(same[0]?.hour ?? 0),
      totalExecutions: same.length,
      failedExecutions,
      failureRate: failedExecutions / same.length,
      avgDuration: durationOf(same.reduce((sum, { nanos }) => sum + nanos, 0n) / BigInt(same.length)),
    };
  });
  const stepNames = [...new Set(samples.map(({ step }) => step))];
  const bucketTimestamps = [...new Set(samples.map(({ hour }) => hour))].map(timeOf);
  return create(GetStepHeatmapResponseSchema, { cells, stepNames, bucketTimestamps });
}

const byTime = <T extends { timestamp?: { seconds: bigint } | undefined }>(buckets: readonly T[]): T[] =>
  buckets.toSorted((a, b) => Number((a.timestamp?.seconds ?? 0n) - (b.timestamp?.seconds ?? 0n)));

describe('merged throughput', () => {
  it('is that of all samples together, in whatever order and groups it is merged', () => {
    fc.assert(
      fc.property(anyFleet, fc.nat(4), (fleet, split) => {
        const parts = fleet.map(throughputOf);
        const merged = mergeThroughput(parts);
        expect(merged.buckets).toEqual(byTime(throughputOf(fleet.flat()).buckets));
        expect(mergeThroughput(parts.toReversed())).toEqual(merged);
        const grouped = [mergeThroughput(parts.slice(0, split)), mergeThroughput(parts.slice(split))];
        expect(mergeThroughput(grouped)).toEqual(merged);
      }),
    );
  });

  it('stops at what the wire can carry, and counts nothing below zero', () => {
    const part = (total: number) => create(GetThroughputResponseSchema, { buckets: [{ timestamp: timeOf(0), total }] });
    expect(mergeThroughput([part(MAX_INT32), part(5)]).buckets[0]?.total).toBe(MAX_INT32);
    expect(mergeThroughput([part(-7), part(5)]).buckets[0]?.total).toBe(5);
  });

  it('leaves out a bucket without a time', () => {
    expect(mergeThroughput([create(GetThroughputResponseSchema, { buckets: [{ total: 5 }] })]).buckets).toEqual([]);
  });
});

describe('merged failure rates', () => {
  it('are those of all samples together, in whatever order and groups they are merged', () => {
    fc.assert(
      fc.property(anyFleet, fc.nat(4), (fleet, split) => {
        const parts = fleet.map(failureRateOf);
        const merged = mergeFailureRate(parts);
        expect(merged.buckets).toEqual(byTime(failureRateOf(fleet.flat()).buckets));
        expect(mergeFailureRate(parts.toReversed())).toEqual(merged);
        const grouped = [mergeFailureRate(parts.slice(0, split)), mergeFailureRate(parts.slice(split))];
        expect(mergeFailureRate(grouped)).toEqual(merged);
      }),
    );
  });

  it('are 0 where nothing ran', () => {
    const part = create(GetFailureRateResponseSchema, { buckets: [{ timestamp: timeOf(0) }] });
    expect(mergeFailureRate([part, part]).buckets[0]?.rate).toBe(0);
  });
});

describe('merged heatmaps', () => {
  it('are those of all samples together, the mean to as many nanoseconds as there are subsystems', () => {
    fc.assert(
      fc.property(anyFleet, (fleet) => {
        const merged = mergeStepHeatmap(fleet.map(heatmapOf));
        const expected = heatmapOf(fleet.flat());
        expect(merged.stepNames).toEqual(expected.stepNames.toSorted());
        expect(merged.bucketTimestamps.map(({ seconds }) => seconds)).toEqual(
          expected.bucketTimestamps.map(({ seconds }) => seconds).toSorted((a, b) => Number(a - b)),
        );
        expect(merged.cells).toHaveLength(expected.cells.length);
        for (const cell of expected.cells) {
          const same = merged.cells.find(
            ({ stepName, bucketStart }) =>
              stepName === cell.stepName && bucketStart?.seconds === cell.bucketStart?.seconds,
          );
          expect(same).toMatchObject({
            totalExecutions: cell.totalExecutions,
            failedExecutions: cell.failedExecutions,
            failureRate: cell.failureRate,
          });
          const [mean, truth] = [same?.avgDuration, cell.avgDuration].map((each) => (each ? toNanos(each) : -1n));
          expect(Math.abs(Number((mean ?? 0n) - (truth ?? 0n)))).toBeLessThanOrEqual(fleet.length);
        }
      }),
    );
  });
});
