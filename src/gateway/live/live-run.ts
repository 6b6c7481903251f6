import { equals } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';
import { readToldMessage } from '../connections/told-message.js';
import { type Run, RunSchema, RunStatus } from '../gen/flowwatch/v1/types_pb.js';

/** A `flowwatch.v1.Run` as it came over the wire, of which only what watchers choose by was read. */
export interface LiveRun {
  readonly bytes: Uint8Array;
  /** That the subsystem knows it by. */
  readonly id: string;
  readonly workflowId: string;
  /** The business domain that it claims (`Run.subsystem_id`). */
  readonly domainId: string;
  readonly status: RunStatus;
}

const ID = 1;
const WORKFLOW_ID = 2;
const STATUS = 4;
const DOMAIN_ID = 6;
const LONGEST_ID = 1_024;

/** Keeps a copy: the bytes may be part of what arrived together. @throws Error if they are no run with a usable id */
export function readLiveRun(bytes: Uint8Array): LiveRun {
  const reader = new BinaryReader(bytes);
  const text = { [ID]: '', [WORKFLOW_ID]: '', [DOMAIN_ID]: '' };
  let status = RunStatus.UNSPECIFIED;
  while (reader.pos < reader.len) {
    const [field, wireType] = reader.tag();
    if (wireType === WireType.LengthDelimited && (field === ID || field === WORKFLOW_ID || field === DOMAIN_ID)) {
      text[field] = reader.string();
    } else if (wireType === WireType.Varint && field === STATUS) status = reader.int32();
    else reader.skip(wireType, field);
  }
  const id = text[ID];
  if (id === '' || id.length > LONGEST_ID) throw new RangeError('a run without a usable id');
  return { bytes: bytes.slice(), id, workflowId: text[WORKFLOW_ID], domainId: text[DOMAIN_ID], status };
}

export function decodeRun({ bytes }: LiveRun): Run {
  return readToldMessage(RunSchema, bytes);
}

export function hasEnded({ status }: Pick<LiveRun, 'status'>): boolean {
  return status === RunStatus.SUCCEEDED || status === RunStatus.FAILED || status === RunStatus.CANCELED;
}

/** Whether they say the same: Go writes the entries of a map in another order each time. */
export function isSameRun(a: LiveRun, b: LiveRun): boolean {
  if (a === b || Buffer.compare(a.bytes, b.bytes) === 0) return true;
  return a.bytes.length === b.bytes.length && equals(RunSchema, decodeRun(a), decodeRun(b));
}
