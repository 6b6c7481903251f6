import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import { readTextField } from '../routing/read-text-field.js';

/**
 * Where a run stands in an order. `major`: seconds of a time or duration, the number of a status, or text; `minor`:
 * nanoseconds. A time or duration that the run does not have is before all others.
 */
export interface RunKey {
  readonly major: number | string;
  readonly minor: number;
}

/** A `flowwatch.v1.Run` as it came over the wire, of which only the id and the key of the order were read. */
export interface UndecodedRun extends RunKey {
  readonly bytes: Uint8Array;
  readonly id: string;
}

/** A field of `flowwatch.v1.Run` that runs are ordered by. `time`: Timestamp or Duration, which have the same fields. */
export interface RunKeyField {
  readonly number: number;
  readonly kind: 'time' | 'number' | 'text';
}

const RUN_ID = 1;
const WORKFLOW_ID = 2;
const SECONDS = 1;
const NANOS = 2;
/** A cursor names runs: one with a longer id cannot be listed. */
const LONGEST_ID = 1_024;

/** @throws Error if the bytes are no message, or one without an id that can be used. */
export function readUndecodedRun(bytes: Uint8Array, field: RunKeyField): UndecodedRun {
  const reader = new BinaryReader(bytes);
  const { number, kind } = field;
  let id = '';
  let major: number | string = kind === 'text' ? '' : kind === 'time' ? -Infinity : 0;
  let minor = 0;
  // To the end: of a field that comes twice the last counts, and gateways append the id that they show.
  while (reader.pos < reader.len) {
    const [read, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited && read === RUN_ID) {
      id = reader.string();
      if (number === RUN_ID) major = id;
    } else if (read !== number) {
      reader.skip(wireType, read);
    } else if (kind === 'text' && wireType === WireType.LengthDelimited) {
      major = reader.string();
    } else if (kind === 'number' && wireType === WireType.Varint) {
      major = reader.int32();
    } else if (kind === 'time' && wireType === WireType.LengthDelimited) {
      if (major === -Infinity) major = 0;
      for (const end = reader.uint32() + reader.pos; reader.pos < end;) {
        const [part, partType] = reader.tag();
        if (part === SECONDS && partType === WireType.Varint) major = Number(reader.int64());
        else if (part === NANOS && partType === WireType.Varint) minor = reader.int32();
        else reader.skip(partType, part);
      }
    } else {
      reader.skip(wireType, read);
    }
  }
  if (id === '' || id.length > LONGEST_ID) throw new RangeError('a run without a usable id');
  return { bytes, id, major, minor };
}

/** The run's `workflow_id`; empty if it has none. */
export function readWorkflowId(run: Uint8Array): string {
  return readTextField(run, WORKFLOW_ID);
}

/** The same run under other ids: of a field that comes twice the last counts (Protocol Buffers, "Last One Wins"). */
export function withIds(
  run: Uint8Array,
  ids: { runId?: string | undefined; workflowId?: string | undefined },
): Uint8Array {
  if (ids.runId === undefined && ids.workflowId === undefined) return run;
  const writer = new BinaryWriter().raw(run);
  if (ids.runId !== undefined) writer.tag(RUN_ID, WireType.LengthDelimited).string(ids.runId);
  if (ids.workflowId !== undefined) writer.tag(WORKFLOW_ID, WireType.LengthDelimited).string(ids.workflowId);
  return writer.finish();
}
