import type { JsonValue } from '@bufbuild/protobuf';
import { type Duration, type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { z } from 'zod';
import type { TimeRange } from '../gen/flowwatch/v1/types_pb.js';
import { FIRST_SECOND, LAST_SECOND } from '../input/time-limits.js';

/** RFC 3339 with milliseconds; null if it is not set. Go's zero time, which its engines give for none, is before 1970. */
export function timeOf(time: Timestamp | undefined): string | null {
  if (!time || time.seconds < 0n || time.seconds > LAST_SECOND) return null;
  return new Date(Number(time.seconds) * 1_000 + Math.trunc(time.nanos / 1e6)).toISOString();
}

/** Whole milliseconds; null if it is not set. */
export function millisecondsOf(duration: Duration | undefined): number | null {
  return duration ? Number(duration.seconds) * 1_000 + Math.round(duration.nanos / 1e6) : null;
}

/** On the wire an empty text is as good as none. */
export const textOf = (text: string): string | null => (text === '' ? null : text);

export const timeSchema = z.iso.datetime().nullable();
export const millisecondsSchema = z.int().nullable();
export const textSchema = z.string().nullable();
export const jsonSchema: z.ZodType<JsonValue> = z.unknown() as never;

const instant = z.iso.datetime({ offset: true });

/** Query parameters of what is limited in time, to be spread into its schema. */
export const rangeQuery = {
  from: instant.optional().meta({ description: 'RFC 3339.', example: '2026-01-01T00:00:00Z' }),
  to: instant.optional().meta({ description: 'RFC 3339.', example: '2027-01-01T00:00:00Z' }),
};

interface RangeQuery {
  readonly from?: string | undefined;
  readonly to?: string | undefined;
}

/** For `superRefine`: what ends before it begins is a mistake, and so is the year 0. */
export function checkRange({ from, to }: RangeQuery, context: z.RefinementCtx): void {
  for (const [path, time] of Object.entries({ from, to })) {
    // What is no time has been told by now.
    if (time === undefined || !(Date.parse(time) < Number(FIRST_SECOND) * 1_000)) continue;
    context.addIssue({ code: 'custom', path: [path], message: 'must be a time from the year 1 to the year 9999' });
  }
  if (from === undefined || to === undefined || Date.parse(from) <= Date.parse(to)) return;
  context.addIssue({ code: 'custom', path: ['to'], message: 'must not be before `from`' });
}

/** The field `timeRange` of a request; nothing if neither end is given. */
export function timeRangeOf({ from, to }: RangeQuery): { timeRange?: Omit<TimeRange, '$typeName'> } {
  if (from === undefined && to === undefined) return {};
  return {
    timeRange: {
      ...(from === undefined ? {} : { from: timestampFromDate(new Date(from)) }),
      ...(to === undefined ? {} : { to: timestampFromDate(new Date(to)) }),
    },
  };
}
