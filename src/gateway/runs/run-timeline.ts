import { create } from '@bufbuild/protobuf';
import { type Duration, type Timestamp, DurationSchema } from '@bufbuild/protobuf/wkt';
import {
  type GetRunTimelineResponse,
  type TimelineEntry,
  GetRunTimelineResponseSchema,
  TimelineEntrySchema,
} from '../gen/flowwatch/v1/run_service_pb.js';
import type { Run, StepExecution } from '../gen/flowwatch/v1/types_pb.js';

const NANOS_PER_SECOND = 1_000_000_000n;

/**
 * The timeline of a run whose engine tells only its steps. It starts with the run, or with its first step if that is
 * earlier or the run does not say; steps that have not started come last and have no offset.
 */
export function timelineOfSteps(run: Run, steps: readonly StepExecution[]): GetRunTimelineResponse {
  const starts = [run.startedAt, ...steps.map((step) => step.startedAt)].flatMap(nanosOf);
  const ends = [run.finishedAt, ...steps.map((step) => step.finishedAt)].flatMap(nanosOf);
  const start = starts.reduce<bigint | undefined>(earlier, undefined);
  const end = ends.reduce<bigint | undefined>(later, undefined);
  const measured = start === undefined || end === undefined ? undefined : durationOf(end - start);
  return create(GetRunTimelineResponseSchema, {
    runId: run.id,
    totalDuration: run.duration ?? measured,
    entries: steps.map((step) => entryOf(step, start)).toSorted(byOffset),
  });
}

function entryOf(step: StepExecution, runStart: bigint | undefined): TimelineEntry {
  const [start] = nanosOf(step.startedAt);
  const [end] = nanosOf(step.finishedAt);
  const { stepName, status, attempt, queueWait, error } = step;
  return create(TimelineEntrySchema, {
    stepName,
    status,
    attempt,
    queueWait,
    error,
    offset: start === undefined || runStart === undefined ? undefined : durationOf(start - runStart),
    duration: step.duration ?? (start === undefined || end === undefined ? undefined : durationOf(end - start)),
  });
}

function byOffset(a: TimelineEntry, b: TimelineEntry): number {
  const [left] = nanosOf(a.offset);
  const [right] = nanosOf(b.offset);
  if (left === undefined || right === undefined) return Number(left === undefined) - Number(right === undefined);
  return left < right ? -1 : Number(left > right);
}

function nanosOf(time: Timestamp | Duration | undefined): [bigint] | [] {
  return time ? [time.seconds * NANOS_PER_SECOND + BigInt(time.nanos)] : [];
}

/** 0 for a negative one: clocks of different machines disagree. */
function durationOf(nanos: bigint): Duration {
  const positive = nanos > 0n ? nanos : 0n;
  return create(DurationSchema, {
    seconds: positive / NANOS_PER_SECOND,
    nanos: Number(positive % NANOS_PER_SECOND),
  });
}

function earlier(a: bigint | undefined, b: bigint): bigint {
  return a === undefined || b < a ? b : a;
}

function later(a: bigint | undefined, b: bigint): bigint {
  return a === undefined || b > a ? b : a;
}
