import type { JsonValue } from '@bufbuild/protobuf';
import { type Duration, type Timestamp, timestampFromDate } from '@bufbuild/protobuf/wkt';
import { z } from 'zod';
import type { TimeRange } from '../gen/flowwatch/v1/types_pb.js';

/** 9999-12-31T23:59:59Z: the last second that RFC 3339 can write. */
const LAST_SECOND = 253_402_300_799n;

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

/** For `superRefine`: what ends before it begins is a mistake. */
export function checkRange({ from, to }: RangeQuery, context: z.RefinementCtx): void {
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
