import { BSONRegExp, Double, Int32, Long, calculateObjectSize, deserialize, serialize } from 'bson';
import { CommandError, badValue } from '../command-error.js';

/** A document as the room holds it: numbers stay Int32, Long or Double, so that nothing changes type by being read. */
export type Doc = Record<string, unknown>;

export type BsonType =
  | 'minKey'
  | 'undefined'
  | 'null'
  | 'int'
  | 'long'
  | 'double'
  | 'string'
  | 'object'
  | 'array'
  | 'binData'
  | 'objectId'
  | 'bool'
  | 'date'
  | 'timestamp'
  | 'regex'
  | 'javascript'
  | 'maxKey';

/** `$type` numbers and aliases (MongoDB manual, "BSON Types"). */
export const TYPE_NUMBERS: Readonly<Record<BsonType, number>> = {
  minKey: -1,
  double: 1,
  string: 2,
  object: 3,
  array: 4,
  binData: 5,
  undefined: 6,
  objectId: 7,
  bool: 8,
  date: 9,
  null: 10,
  regex: 11,
  javascript: 13,
  int: 16,
  timestamp: 17,
  long: 18,
  maxKey: 127,
};

/** Place of each type in the comparison order (MongoDB manual, "Comparison/Sort Order"); never 0, which ends a nested key. */
export const TYPE_ORDER: Readonly<Record<BsonType, number>> = {
  minKey: 0x01,
  undefined: 0x02,
  null: 0x05,
  int: 0x0a,
  long: 0x0a,
  double: 0x0a,
  string: 0x0f,
  object: 0x14,
  array: 0x19,
  binData: 0x1e,
  objectId: 0x23,
  bool: 0x28,
  date: 0x2d,
  timestamp: 0x2f,
  regex: 0x32,
  javascript: 0x3c,
  maxKey: 0x7f,
};

const TAGGED: Readonly<Record<string, BsonType>> = {
  Int32: 'int',
  Double: 'double',
  Long: 'long',
  ObjectId: 'objectId',
  Binary: 'binData',
  Timestamp: 'timestamp',
  BSONRegExp: 'regex',
  MinKey: 'minKey',
  MaxKey: 'maxKey',
  Code: 'javascript',
  BSONSymbol: 'string',
  DBRef: 'object',
};

/** Throws BadValue for Decimal128, which this store does not order and therefore does not keep. */
export function typeOf(value: unknown): BsonType {
  switch (typeof value) {
    case 'string':
      return 'string';
    case 'boolean':
      return 'bool';
    case 'undefined':
      return 'undefined';
    case 'number':
      return Number.isInteger(value) && Object.is(value | 0, value) ? 'int' : 'double';
    case 'bigint':
      return 'long';
    default:
  }
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'array';
  if (value instanceof Date) return 'date';
  if (value instanceof RegExp) return 'regex';
  const tag = (value as { _bsontype?: unknown })._bsontype;
  if (typeof tag !== 'string') return 'object';
  const type = TAGGED[tag];
  if (!type) throw badValue(`values of type ${tag} are not supported by the embedded store`);
  return type;
}

export const isDoc = (value: unknown): value is Doc => typeOf(value) === 'object';

export function isNumber(value: unknown): value is Int32 | Double | Long | number | bigint {
  return TYPE_ORDER[typeOf(value)] === TYPE_ORDER.int;
}

/** The value as a JS number (Int32, Double) or bigint (Long): JS compares the two exactly. */
export function numberOf(value: unknown): number | bigint {
  if (typeof value === 'number' || typeof value === 'bigint') return value;
  if (value instanceof Long) return value.toBigInt();
  return (value as Int32 | Double).value;
}

/** The value as a JS number, or undefined if it is no number. */
export function asNumber(value: unknown): number | undefined {
  return isNumber(value) ? Number(numberOf(value)) : undefined;
}

/** The value as an integer, or undefined if it is no number or has a fraction. */
export function asInteger(value: unknown): number | undefined {
  const number = asNumber(value);
  return number !== undefined && Number.isSafeInteger(number) ? number : undefined;
}

/** MongoDB's truth in expressions and command options: all but false, null, undefined and zero. */
export function isTruthy(value: unknown): boolean {
  if (value === undefined || value === null || value === false) return false;
  return isNumber(value) ? Number(numberOf(value)) !== 0 : true;
}

/** What BSON keeps as regular expression, whichever class carries it. */
export function regexParts(value: unknown): { pattern: string; options: string } {
  if (value instanceof RegExp) return { pattern: value.source, options: value.flags.replace(/[^imsux]/g, '') };
  const regex = value as BSONRegExp;
  return { pattern: regex.pattern, options: regex.options };
}

export const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** MongoDB manual, "Limits": nesting depth of documents. */
export const MAX_DEPTH = 100;

const READ_OPTIONS = {
  promoteValues: false,
  promoteLongs: false,
  promoteBuffers: false,
  bsonRegExp: true,
} as const;

export function decode(bytes: Uint8Array, rawFields?: Record<string, boolean>): Doc {
  return deserialize(bytes, rawFields ? { ...READ_OPTIONS, fieldsAsRaw: rawFields } : READ_OPTIONS);
}

/** Throws BSONObjectTooLarge above 16 MiB. */
export function encode(doc: Doc): Uint8Array {
  const bytes = serialize(doc, { ignoreUndefined: false, checkKeys: false });
  checkSize(bytes.length);
  return bytes;
}

export function checkSize(length: number): void {
  if (length > MAX_DOCUMENT_BYTES) {
    throw new CommandError(10334, `object to store is ${length} bytes, the limit is ${MAX_DOCUMENT_BYTES} bytes`);
  }
}

export const sizeOf = (doc: Doc): number => calculateObjectSize(doc);

/** Throws Overflow when nested deeper than 100 levels, BadValue for a type that cannot be kept. */
export function checkStorable(value: unknown, depth = 1): void {
  const type = typeOf(value);
  if (type !== 'object' && type !== 'array') return;
  if (depth > MAX_DEPTH) throw new CommandError(15, `document is nested deeper than ${MAX_DEPTH} levels`);
  for (const child of type === 'array' ? (value as unknown[]) : Object.values(value as Doc)) {
    if (typeof child === 'object') checkStorable(child, depth + 1);
  }
}

/** `checkStorable` of what differs from a stored document, which was checked before. */
export function checkChanges(before: Doc, after: Doc): void {
  for (const name of Object.keys(after)) {
    const value = after[name];
    if (typeof value === 'object' && value !== getField(before, name)) checkStorable(value, 2);
  }
}

/** Sets a field whatever its name is: a field called `__proto__` is data like any other. */
export function setField(doc: Doc, name: string, value: unknown): void {
  if (name === '__proto__') {
    Object.defineProperty(doc, name, { value, enumerable: true, configurable: true, writable: true });
  } else doc[name] = value;
}

/** The field's own value: names that plain objects inherit (`constructor`) count as absent. */
export function getField(doc: Doc, name: string): unknown {
  return Object.hasOwn(doc, name) ? doc[name] : undefined;
}

/** A copy that shares no object or array with the original; scalar values are immutable and shared. */
export function clone<T>(value: T): T {
  if (Array.isArray(value)) return value.map((item: unknown) => clone(item)) as T;
  if (!isDoc(value) || (value as Doc)._bsontype !== undefined) return value;
  const copy: Doc = {};
  for (const [name, field] of Object.entries(value)) setField(copy, name, clone(field));
  return copy as T;
}

/** JS values made by a library (plain numbers, bigints) as BSON values. */
export function wrapNumber(value: number | bigint): Int32 | Long | Double {
  if (typeof value === 'bigint') return Long.fromBigInt(value);
  return typeOf(value) === 'int' ? new Int32(value) : new Double(value);
}
