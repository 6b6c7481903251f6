import { createHash } from 'node:crypto';
import { fromBinary } from '@bufbuild/protobuf';
import type { Timestamp } from '@bufbuild/protobuf/wkt';
import type { RunFilter } from '../gen/flowwatch/v1/run_service_pb.js';
import { type Run, RunSchema } from '../gen/flowwatch/v1/types_pb.js';
import { parseQualifiedId } from '../routing/qualified-id.js';
import type { RunOrder } from './run-order.js';

/** Identifies the list that a cursor continues: the filter, whatever the order of what is in it, and the order. */
export function listDigest(filter: RunFilter | undefined, { name, descending }: RunOrder): string {
  const { from, to } = filter?.timeRange ?? {};
  const question = [
    name,
    descending,
    filter?.workflowIds.toSorted(),
    filter?.statuses.toSorted(),
    filter?.subsystemIds.toSorted(),
    filter?.foreignId,
    filter?.traceId,
    Object.entries(filter?.metadataMatch ?? {}).toSorted(([a], [b]) => (a < b ? -1 : 1)),
    [from, to].map((time) => time && [String(time.seconds), time.nanos]),
  ];
  return createHash('sha256').update(JSON.stringify(question)).digest('base64url').slice(0, 16);
}

/**
 * Whether a run matches the filter that its subsystem was given; undefined if it was given none. FlowWatch's own engine
 * ignores most of it (time range, trace, metadata, several workflows), so what comes is looked at again. In doubt a run
 * matches: of a time range only what lies outside of it as a whole does not.
 */
export function filterMatcher(filter: RunFilter): ((run: Uint8Array) => boolean) | undefined {
  const tests = [
    ...testOf(filter.workflowIds, (ids) => (run) => hasId(ids, run.workflowId)),
    ...testOf(filter.subsystemIds, (ids) => (run) => ids.includes(run.subsystemId)),
    ...testOf(filter.statuses, (statuses) => (run) => statuses.includes(run.status)),
    ...testOf(filter.foreignId, (id) => (run) => run.foreignId === id),
    ...testOf(
      filter.traceId,
      (id) =>
        ({ trace }) =>
          trace?.traceId === id || !!trace?.additionalTraceIds.includes(id),
    ),
    ...Object.entries(filter.metadataMatch).map(
      ([key, value]) =>
        (run: Run) =>
          run.metadata[key] === value,
    ),
    ...testOf(
      filter.timeRange?.from,
      (from) =>
        ({ finishedAt }) =>
          isZero(finishedAt) || !isBefore(finishedAt, from),
    ),
    ...testOf(
      filter.timeRange?.to,
      (to) =>
        ({ startedAt }) =>
          isZero(startedAt) || !isBefore(to, startedAt),
    ),
  ];
  if (tests.length === 0) return undefined;
  return (bytes) => {
    const run = decoded(bytes);
    return !run || tests.every((test) => test(run));
  };
}

/** undefined if it cannot be: then it is not the filter that keeps it out. */
function decoded(run: Uint8Array): Run | undefined {
  try {
    return fromBinary(RunSchema, run);
  } catch {
    return undefined;
  }
}

type Test = (run: Run) => boolean;

function testOf<T>(value: T | undefined, test: (value: T) => Test): Test[] {
  const isUnset = value === undefined || value === '' || (Array.isArray(value) && value.length === 0);
  return isUnset ? [] : [test(value)];
}

/** A gateway behind us may have qualified it. */
const hasId = (ids: readonly string[], id: string): boolean =>
  ids.includes(id) || ids.includes(parseQualifiedId(id)?.id ?? id);

type Time = Partial<Pick<Timestamp, 'seconds' | 'nanos'>>;

/** Go's zero time, which its engines give for none, is long before 1970. */
const isZero = (time: Time | undefined): time is undefined => time === undefined || (time.seconds ?? 0n) < 0n;

function isBefore(a: Time, b: Time): boolean {
  const [secondsA, secondsB] = [a.seconds ?? 0n, b.seconds ?? 0n];
  return secondsA === secondsB ? (a.nanos ?? 0) < (b.nanos ?? 0) : secondsA < secondsB;
}
