import {
  type DescField,
  type DescMessage,
  type JsonValue,
  type MessageShape,
  ScalarType,
  fromBinary,
} from '@bufbuild/protobuf';
import { DurationSchema, StructSchema, TimestampSchema } from '@bufbuild/protobuf/wkt';
import { LONGEST_SECONDS, isTime } from '../input/time-limits.js';

interface Moment {
  readonly seconds: bigint;
  readonly nanos: number;
}

type Fields = Record<string, unknown>;

/** Fields that may hold what cannot be told, by the message that has them. */
const doubtful = new WeakMap<DescMessage, readonly DescField[]>();

/**
 * A message of a subsystem as all can be told it. JSON has no form for times before the year 1 or after 9999, for
 * durations beyond 10 000 years and for numbers that are none: such a time or duration is not set, such a number is 0,
 * within a Struct null. Otherwise one subsystem would break the answers of all.
 *
 * https://protobuf.dev/reference/protobuf/google.protobuf/#timestamp
 * @throws Error if the bytes are no such message
 */
export function readToldMessage<M extends DescMessage>(desc: M, bytes: Uint8Array): MessageShape<M> {
  const message = fromBinary(desc, bytes);
  mend(desc, message);
  return message;
}

function mend(desc: DescMessage, message: unknown): void {
  const fields = message as Fields;
  for (const field of doubtfulFields(desc)) {
    const { localName } = field;
    const value = fields[localName];
    if (value === undefined) continue;
    if (Array.isArray(value)) {
      fields[localName] = value.map((each) => told(field, each)).filter((each) => each !== undefined);
    } else fields[localName] = told(field, value);
  }
}

/** No message of FlowWatch that is an answer has a oneof, or a map of anything but text and numbers. */
function doubtfulFields(desc: DescMessage): readonly DescField[] {
  const known = doubtful.get(desc);
  if (known) return known;
  const fields = desc.fields.filter(
    ({ fieldKind, message, scalar }) => fieldKind !== 'map' && (message || scalar === ScalarType.DOUBLE),
  );
  doubtful.set(desc, fields);
  return fields;
}

function told({ message }: DescField, value: unknown): unknown {
  switch (message?.typeName) {
    case undefined:
      return Number.isFinite(value) ? value : 0;
    case TimestampSchema.typeName:
      return isTime(value as Moment) ? value : undefined;
    case DurationSchema.typeName:
      return isDuration(value as Moment) ? value : undefined;
    case StructSchema.typeName:
      return toldJson(value as JsonValue);
    default:
      if (message) mend(message, value);
      return value;
  }
}

function isDuration({ seconds, nanos }: Moment): boolean {
  if (seconds > LONGEST_SECONDS || seconds < -LONGEST_SECONDS || Math.abs(nanos) >= 1e9) return false;
  return seconds === 0n || nanos === 0 || seconds > 0n === nanos > 0;
}

function toldJson(value: JsonValue): JsonValue {
  if (typeof value === 'number') return Number.isFinite(value) ? value : null;
  if (Array.isArray(value)) return value.map(toldJson);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, toldJson(each)]));
}
