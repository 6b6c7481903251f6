import { type DescMessage, type MessageInitShape, create, toBinary, toJsonString } from '@bufbuild/protobuf';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  GetFailureRateResponseSchema,
  GetStepHeatmapResponseSchema,
} from '../gen/flowwatch/v1/analytics_service_pb.js';
import { ListRunsResponseSchema } from '../gen/flowwatch/v1/run_service_pb.js';
import { RunSchema, StepExecutionSchema } from '../gen/flowwatch/v1/types_pb.js';
import { readToldMessage } from './told-message.js';

const BEYOND = 9_223_372_036_854_775_807n;

function reread<M extends DescMessage>(desc: M, said: MessageInitShape<M>) {
  return readToldMessage(desc, toBinary(desc, create(desc, said)));
}

const seconds = fc.oneof(
  fc.bigInt({ min: -BEYOND - 1n, max: BEYOND }),
  fc.constantFrom(
    0n,
    1n,
    -1n,
    -62_135_596_800n,
    -62_135_596_801n,
    253_402_300_799n,
    253_402_300_800n,
    315_576_000_001n,
  ),
);
const nanos = fc.oneof(fc.integer(), fc.constantFrom(0, 1, -1, 999_999_999, 1_000_000_000));
const moment = fc.record({ seconds, nanos });

describe('a message of a subsystem', () => {
  it('has a JSON form, whatever its times, durations and numbers are', () => {
    fc.assert(
      fc.property(moment, moment, moment, fc.double(), (startedAt, finishedAt, duration, rate) => {
        const runs = [{ id: 'r', startedAt, finishedAt, duration, trace: { traceId: 't' } }];
        expect(() => toJsonString(ListRunsResponseSchema, reread(ListRunsResponseSchema, { runs }))).not.toThrow();
        const buckets = [{ timestamp: startedAt, rate }];
        const rates = reread(GetFailureRateResponseSchema, { buckets });
        expect(() => toJsonString(GetFailureRateResponseSchema, rates)).not.toThrow();
        expect(Number.isFinite(rates.buckets[0]?.rate)).toBe(true);
        const step = reread(StepExecutionSchema, { input: { deep: [{ rate }] }, startedAt, duration });
        expect(() => toJsonString(StepExecutionSchema, step)).not.toThrow();
      }),
    );
  });

  it('is told as it came where it can be told', () => {
    const run = create(RunSchema, {
      id: 'r',
      startedAt: { seconds: 253_402_300_799n, nanos: 999_999_999 },
      finishedAt: { seconds: -62_135_596_800n, nanos: 0 },
      duration: { seconds: -1n, nanos: -5 },
      metadata: { region: 'north' },
    });
    expect(readToldMessage(RunSchema, toBinary(RunSchema, run))).toEqual(run);
    const step = create(StepExecutionSchema, { id: 's', input: { a: [1, 'b', null, { c: true }] } });
    expect(readToldMessage(StepExecutionSchema, toBinary(StepExecutionSchema, step))).toEqual(step);
  });

  it('does not set a time or duration that is none, and keeps the rest', () => {
    const run = reread(RunSchema, {
      id: 'r',
      startedAt: { seconds: BEYOND, nanos: 0 },
      finishedAt: { seconds: 5n, nanos: -1 },
      duration: { seconds: 1n, nanos: -1 },
      foreignId: 'order-1',
    });
    expect(run).toEqual(create(RunSchema, { id: 'r', foreignId: 'order-1' }));
    const bucketTimestamps = [{ seconds: 1n }, { seconds: BEYOND }, { seconds: 2n }];
    const heatmap = reread(GetStepHeatmapResponseSchema, { bucketTimestamps, cells: [{ failureRate: Number.NaN }] });
    expect(heatmap.bucketTimestamps.map((each) => each.seconds)).toEqual([1n, 2n]);
    expect(heatmap.cells[0]?.failureRate).toBe(0);
  });

  it('throws when it is none', () => {
    expect(() => readToldMessage(RunSchema, Buffer.from([0xff]))).toThrow();
  });
});
