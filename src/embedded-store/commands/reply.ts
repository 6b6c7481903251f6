import { Buffer } from 'node:buffer';
import type { CommandContext } from './command.js';
import type { RowSource } from '../query/find.js';
import { MAX_DOCUMENT_BYTES } from '../query/bson-types.js';
import type { ScanRow } from '../storage/scan.js';

/** MongoDB manual, "Cursor Batches". */
export const FIRST_BATCH = 101;

const DOUBLE = 0x01;
const STRING = 0x02;
const OBJECT = 0x03;
const ARRAY = 0x04;
const INT64 = 0x12;

const name = (type: number, key: string): Buffer => Buffer.from(`${String.fromCharCode(type)}${key}\0`, 'latin1');

function wrap(parts: Uint8Array[]): Buffer {
  const length = parts.reduce((sum, part) => sum + part.length, 5);
  const head = Buffer.alloc(4);
  head.writeInt32LE(length);
  return Buffer.concat([head, ...parts, Buffer.alloc(1)], length);
}

/**
 * `{cursor: {<batch>: [...], id, ns}, ok: 1}` put together from stored bytes, so that a document nobody asked to change is
 * never decoded.
 */
export function cursorReply(
  batch: 'firstBatch' | 'nextBatch',
  docs: readonly Uint8Array[],
  id: bigint,
  ns: string,
): Uint8Array {
  const items = docs.flatMap((doc, i) => [name(OBJECT, String(i)), doc]);
  const idBytes = Buffer.alloc(8);
  idBytes.writeBigInt64LE(id);
  const text = Buffer.from(ns);
  const textLength = Buffer.alloc(4);
  textLength.writeInt32LE(text.length + 1);
  const cursor = wrap([
    name(ARRAY, batch),
    wrap(items),
    name(INT64, 'id'),
    idBytes,
    name(STRING, 'ns'),
    textLength,
    text,
    Buffer.alloc(1),
  ]);
  const ok = Buffer.alloc(8);
  ok.writeDoubleLE(1);
  return wrap([name(OBJECT, 'cursor'), cursor, name(DOUBLE, 'ok'), ok]);
}

/** Reads up to `size` documents and 16 MiB. */
export function readBatch(
  source: RowSource,
  output: (row: ScanRow) => Uint8Array,
  size: number,
  context: CommandContext,
): { docs: Uint8Array[]; isDone: boolean } {
  const docs: Uint8Array[] = [];
  let bytes = 0;
  const isDone = source.read((row) => {
    if (docs.length >= size) return false;
    const doc = output(row);
    if (docs.length > 0 && bytes + doc.length > MAX_DOCUMENT_BYTES) return false;
    docs.push(doc);
    bytes += doc.length;
    return true;
  }, context.limits);
  return { docs, isDone };
}

/** The first batch, and a cursor if there is more. */
export function openCursor(
  ns: string,
  source: RowSource,
  output: (row: ScanRow) => Uint8Array,
  size: number,
  isSingle: boolean,
  context: CommandContext,
): Uint8Array {
  const { docs, isDone } = readBatch(source, output, size, context);
  const id = isDone || isSingle ? 0n : context.cursors.add({ ns, source, output });
  return cursorReply('firstBatch', docs, id, ns);
}
