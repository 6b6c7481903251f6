import { onDemand } from 'bson';
import { type Doc, isNumber, isTruthy } from './bson-types.js';

/** Of a BSON document: its length before the elements, a zero after them. */
const HEADER_BYTES = 4;

/**
 * A projection that only keeps or leaves out whole top-level fields, done on the stored bytes: nothing is decoded.
 * Undefined if it asks for more.
 */
export function compileRawProjection(spec: Doc): ((bytes: Uint8Array) => Uint8Array) | undefined {
  const named = new Set<string>();
  let hasId = true;
  let keeps: boolean | undefined;
  for (const [path, value] of Object.entries(spec)) {
    if (path === '' || path.includes('.') || path.startsWith('$')) return undefined;
    if (!isNumber(value) && typeof value !== 'boolean') return undefined;
    const isKept = isTruthy(value);
    if (path === '_id') {
      hasId = isKept;
      continue;
    }
    if (keeps !== undefined && keeps !== isKept) return undefined;
    keeps = isKept;
    named.add(path);
  }
  // `{_id: 1}` alone keeps the id, `{_id: 0}` alone all else.
  keeps ??= hasId;
  if (keeps === hasId) named.add('_id');
  else named.delete('_id');
  const names = [...named].map((name) => Buffer.from(name));
  return (bytes) => projected(bytes, names, keeps);
}

function isAt(bytes: Uint8Array, at: number, name: Uint8Array): boolean {
  for (let i = 0; i < name.length; i++) if (bytes[at + i] !== name[i]) return false;
  return true;
}

function projected(bytes: Uint8Array, names: readonly Uint8Array[], keeps: boolean): Uint8Array {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const ranges: Array<[start: number, end: number]> = [];
  let size = HEADER_BYTES + 1;
  for (const [, nameOffset, nameLength, offset, length] of onDemand.parseToElements(buffer)) {
    const isNamed = names.some((name) => name.length === nameLength && isAt(buffer, nameOffset, name));
    if (isNamed !== keeps) continue;
    const start = nameOffset - 1;
    const end = offset + length;
    size += end - start;
    const last = ranges.at(-1);
    if (last?.[1] === start) last[1] = end;
    else ranges.push([start, end]);
  }
  const result = Buffer.allocUnsafe(size);
  result.writeInt32LE(size);
  let at = HEADER_BYTES;
  for (const [start, end] of ranges) at += buffer.copy(result, at, start, end);
  result[at] = 0;
  return result;
}
