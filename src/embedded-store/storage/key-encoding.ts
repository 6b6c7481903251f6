import type { Binary, Code, ObjectId, Timestamp } from 'bson';
import { type Doc, TYPE_ORDER, numberOf, regexParts, typeOf } from '../query/bson-types.js';

/** Characters; longer text is converted as a whole. */
const MAX_PLAIN_TEXT = 128;

/**
 * Order-preserving bytes of BSON values: for all a, b the bytes compare as `compareValues(a, b)` does, equal bytes mean equal
 * values, and no encoding is a proper prefix of another, so that the fields of a compound key can be joined and inverted.
 */
class KeyWriter {
  private bytes = Buffer.allocUnsafe(128);
  private length = 0;

  private reserve(count: number): number {
    const at = this.length;
    this.length += count;
    if (this.length > this.bytes.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.length, this.bytes.length * 2));
      this.bytes.copy(grown, 0, 0, at);
      this.bytes = grown;
    }
    return at;
  }

  private byte(value: number): void {
    const at = this.reserve(1);
    this.bytes[at] = value;
  }

  private raw(source: Uint8Array): void {
    const at = this.reserve(source.length);
    this.bytes.set(source, at);
  }

  /** Zero bytes are escaped as 00 FF; 00 00 ends the text, so that a prefix sorts first. */
  private text(value: string): void {
    if (this.plainText(value)) return;
    const source = Buffer.from(value);
    if (!source.includes(0)) this.raw(source);
    else {
      for (const byte of source) {
        this.byte(byte);
        if (byte === 0) this.byte(0xff);
      }
    }
    this.byte(0);
    this.byte(0);
  }

  /** Short ASCII without zeros, which most names and ids are, is written without a buffer of its own. */
  private plainText(value: string): boolean {
    const { length } = value;
    if (length > MAX_PLAIN_TEXT) return false;
    const at = this.reserve(length + 2);
    for (let i = 0; i < length; i++) {
      const code = value.charCodeAt(i);
      if (code === 0 || code > 0x7f) {
        this.length = at;
        return false;
      }
      this.bytes[at + i] = code;
    }
    this.bytes[at + length] = 0;
    this.bytes[at + length + 1] = 0;
    return true;
  }

  /** Signed milliseconds; numbers do where a date is valid, and are faster than BigInt. */
  private milliseconds(value: number): void {
    if (!Number.isSafeInteger(value)) return this.unsigned64(BigInt(value) + 0x8000000000000000n);
    const at = this.reserve(8);
    const high = Math.floor(value / 0x1_0000_0000);
    this.bytes.writeUInt32BE(high + 0x8000_0000, at);
    this.bytes.writeUInt32BE(value - high * 0x1_0000_0000, at + 4);
  }

  private unsigned64(value: bigint): void {
    const at = this.reserve(8);
    this.bytes.writeBigUInt64BE(BigInt.asUintN(64, value), at);
  }

  /** The nearest double's bits in order, then how far a Long lies from that double: exact for every Int32, Long and Double. */
  private number(value: number | bigint): void {
    const double = Number(value);
    const at = this.reserve(10);
    if (Number.isNaN(double)) {
      this.bytes.fill(0, at, at + 10);
      return;
    }
    this.bytes.writeDoubleBE(double === 0 ? 0 : double, at);
    if ((this.bytes[at] ?? 0) & 0x80) {
      for (let i = at; i < at + 8; i++) this.bytes[i] = ~(this.bytes[i] ?? 0) & 0xff;
    } else this.bytes[at] = (this.bytes[at] ?? 0) | 0x80;
    const rest = typeof value === 'bigint' ? Number(value - BigInt(double)) : 0;
    this.bytes.writeUInt16BE(rest + 0x8000, at + 8);
  }

  value(value: unknown): void {
    const type = typeOf(value);
    this.byte(TYPE_ORDER[type]);
    switch (type) {
      case 'int':
      case 'long':
      case 'double':
        return this.number(numberOf(value));
      case 'string':
        return this.text(String(value));
      case 'object':
        for (const [name, field] of Object.entries(value as Doc)) {
          this.byte(TYPE_ORDER[typeOf(field)]);
          this.text(name);
          this.value(field);
        }
        return this.byte(0);
      case 'array':
        for (const item of value as unknown[]) this.value(item);
        return this.byte(0);
      case 'binData':
        return this.binary(value as Binary);
      case 'objectId':
        return this.raw((value as ObjectId).id);
      case 'bool':
        return this.byte(value ? 1 : 0);
      case 'date':
        return this.milliseconds((value as Date).getTime());
      case 'timestamp':
        return this.unsigned64((value as Timestamp).toBigInt());
      case 'regex': {
        const { pattern, options } = regexParts(value);
        this.text(pattern);
        return this.text(options);
      }
      case 'javascript':
        return this.text((value as Code).code);
      default:
    }
  }

  private binary(value: Binary): void {
    const at = this.reserve(5);
    this.bytes.writeUInt32BE(value.position, at);
    this.bytes[at + 4] = value.sub_type;
    this.raw(value.value());
  }

  /** Turns the order of what was written from `start` on. */
  invertFrom(start: number): void {
    for (let i = start; i < this.length; i++) this.bytes[i] = ~(this.bytes[i] ?? 0) & 0xff;
  }

  get end(): number {
    return this.length;
  }

  take(): Buffer {
    const result = Buffer.allocUnsafe(this.length);
    this.bytes.copy(result, 0, 0, this.length);
    this.length = 0;
    return result;
  }

  clear(): void {
    this.length = 0;
  }
}

const writer = new KeyWriter();

/** Ascending key bytes of one value. */
export function encodeKey(value: unknown): Buffer {
  // A throw in the middle (an unsupported type) must not leave bytes behind for the next key.
  writer.clear();
  writer.value(value);
  return writer.take();
}

/** The key of several fields, each with the direction of its place. */
export function encodeFields(
  values: readonly unknown[],
  fields: ReadonlyArray<{ readonly direction: 1 | -1 }>,
): Buffer {
  writer.clear();
  for (let i = 0; i < values.length; i++) {
    const start = writer.end;
    writer.value(values[i]);
    if (fields[i]?.direction === -1) writer.invertFrom(start);
  }
  return writer.take();
}

export function invert(bytes: Uint8Array): Buffer {
  const result = Buffer.from(bytes);
  for (let i = 0; i < result.length; i++) result[i] = ~(result[i] ?? 0) & 0xff;
  return result;
}

/** The least key greater than every key that starts with `prefix`; undefined when there is none. */
export function afterPrefix(prefix: Uint8Array): Buffer | undefined {
  for (let end = prefix.length; end > 0; end--) {
    const last = prefix[end - 1] ?? 0xff;
    if (last === 0xff) continue;
    const result = Buffer.from(prefix.subarray(0, end));
    result[end - 1] = last + 1;
    return result;
  }
  return undefined;
}
