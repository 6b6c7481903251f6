import type { Duration } from '@bufbuild/protobuf/wkt';
import type { TraceSpan } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { durationOf, toNanos } from '../routing/wire-time.js';

export interface SpansOfSubsystem {
  readonly subsystemId: string;
  readonly spans: readonly TraceSpan[];
}

export interface MergedTrace {
  /** By start; of those that start together parents first. */
  readonly spans: TraceSpan[];
  readonly totalDuration: Duration;
  readonly subsystemCount: number;
}

interface PlacedSpan {
  readonly span: TraceSpan;
  readonly subsystemId: string;
  /** Nanoseconds since the epoch; undefined if neither the span nor its subsystem says when it began. */
  readonly start: bigint | undefined;
  readonly duration: bigint;
}

/**
 * One waterfall of the spans of several subsystems: their offsets are from the first start of all, the total is until
 * the last end. A span begins when its run did, since the original leaves offset and duration 0; one without a run
 * begins at its offset from the first start of its subsystem, or of all if nothing there tells the time.
 */
export function mergeTrace(parts: readonly SpansOfSubsystem[]): MergedTrace {
  const placed = parts.flatMap(placeSpans);
  const origin = least(placed.flatMap(({ start }) => start ?? []));
  const depthOf = depths(placed.map(({ span }) => span));
  const based = placed.map((each) => ({
    ...each,
    offset: each.start === undefined ? offsetOf(each.span) : each.start - (origin ?? each.start),
    depth: depthOf.get(each.span) ?? 0,
  }));
  const ends = based.map(({ offset, duration }) => offset + duration);
  const begin = least(based.map(({ offset }) => offset)) ?? 0n;
  const sorted = based.toSorted(
    (a, b) =>
      compare(a.offset, b.offset) ||
      compare(a.depth, b.depth) ||
      compare(a.subsystemId, b.subsystemId) ||
      compare(a.span.spanId, b.span.spanId),
  );
  return {
    spans: sorted.map(({ span, subsystemId, offset, duration }) => ({
      ...span,
      subsystemId: span.subsystemId === '' ? subsystemId : span.subsystemId,
      offset: durationOf(offset - begin),
      duration: durationOf(duration),
    })),
    totalDuration: durationOf(ends.reduce((last, end) => (end > last ? end : last), begin) - begin),
    subsystemCount: parts.filter(({ spans }) => spans.length > 0).length,
  };
}

function placeSpans({ subsystemId, spans }: SpansOfSubsystem): PlacedSpan[] {
  const base = least(
    spans.flatMap((span) => (span.run?.startedAt ? toNanos(span.run.startedAt) - offsetOf(span) : [])),
  );
  return spans.map((span) => {
    const started = span.run?.startedAt;
    const start = started ? toNanos(started) : base === undefined ? undefined : base + offsetOf(span);
    return { span, subsystemId, start, duration: durationOfSpan(span) };
  });
}

function offsetOf({ offset }: TraceSpan): bigint {
  const nanos = offset ? toNanos(offset) : 0n;
  return nanos > 0n ? nanos : 0n;
}

function durationOfSpan({ duration, run }: TraceSpan): bigint {
  const lasted = run?.startedAt && run.finishedAt ? toNanos(run.finishedAt) - toNanos(run.startedAt) : 0n;
  const told = [duration, run?.duration].map((each) => (each ? toNanos(each) : 0n));
  return [...told, lasted].find((nanos) => nanos > 0n) ?? 0n;
}

/** How many ancestors each has among them. */
function depths(spans: readonly TraceSpan[]): ReadonlyMap<TraceSpan, number> {
  const bySpanId = new Map(spans.map((span) => [span.spanId, span]));
  const known = new Map<TraceSpan, number>();
  for (const span of spans) {
    const path = new Set<TraceSpan>();
    let above: TraceSpan | undefined = span;
    // Ends at a root, at one whose depth is known, or where a cycle of parents closes.
    while (above && !known.has(above) && !path.has(above)) {
      path.add(above);
      above = above.parentSpanId === '' ? undefined : bySpanId.get(above.parentSpanId);
    }
    let depth = above ? (known.get(above) ?? -1) + 1 : 0;
    for (const each of [...path].toReversed()) known.set(each, depth++);
  }
  return known;
}

function least(values: readonly bigint[]): bigint | undefined {
  return values.reduce<bigint | undefined>((min, value) => (min === undefined || value < min ? value : min), undefined);
}

function compare<T extends bigint | number | string>(a: T, b: T): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
