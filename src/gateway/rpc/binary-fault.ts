import { type DescField, type DescMessage, ScalarType, fromBinary } from '@bufbuild/protobuf';
import { BinaryReader, WireType } from '@bufbuild/protobuf/wire';

export interface BinaryFault {
  /** The path of the field where the bytes go wrong; empty if they are of none. */
  readonly field: string;
  readonly description: string;
}

/** As deep as protobuf-es reads. */
const MAX_DEPTH = 100;
const CUT = 'must be whole: its bytes are cut off, or are no value';

/**
 * Where the bytes are no message of this kind; undefined if every field has a wire type that fits it and is whole.
 * protobuf-es does not look at wire types, and would read one thing as another.
 * https://protobuf.dev/programming-guides/encoding/
 */
export function wireFault(desc: DescMessage, bytes: Uint8Array): BinaryFault | undefined {
  return faultIn(desc, bytes, '', 0, () => true);
}

/** The field whose value protobuf-es does not take: it is the judge of each by itself. */
export function valueFault(desc: DescMessage, bytes: Uint8Array): BinaryFault | undefined {
  return faultIn(desc, bytes, '', 0, isReadable);
}

type Judge = (desc: DescMessage, record: Uint8Array) => boolean;

function faultIn(
  desc: DescMessage,
  bytes: Uint8Array,
  prefix: string,
  depth: number,
  judge: Judge,
): BinaryFault | undefined {
  const reader = new BinaryReader(bytes);
  const seen = new Map<DescField, number>();
  let at = prefix.slice(0, -1);
  while (reader.pos < reader.len) {
    at = prefix.slice(0, -1);
    const begin = reader.pos;
    try {
      const [number, wireType] = reader.tag();
      const field = desc.fields.find((each) => each.number === number);
      if (!field) {
        reader.skip(wireType, number);
        continue;
      }
      at = prefix + pathOf(field, seen);
      if (!fits(field, wireType)) return { field: at, description: `must not have the wire type ${wireType}` };
      const { message } = field;
      if (message && field.fieldKind !== 'map' && depth < MAX_DEPTH) {
        const fault = faultIn(message, reader.bytes(), `${at}.`, depth + 1, judge);
        if (fault) return fault;
        continue;
      }
      reader.skip(wireType, number);
    } catch {
      // The reader says no more than that it cannot go on here.
      return { field: at, description: CUT };
    }
    if (!judge(desc, bytes.subarray(begin, reader.pos))) {
      const isText = desc.fields.find(({ name }) => at.endsWith(name))?.scalar === ScalarType.STRING;
      return { field: at, description: isText ? 'must be text in UTF-8' : CUT };
    }
  }
  return undefined;
}

function isReadable(desc: DescMessage, record: Uint8Array): boolean {
  try {
    fromBinary(desc, record);
    return true;
  } catch {
    // Why it is not would be told in the words of the library; only that counts here.
    return false;
  }
}

function pathOf(field: DescField, seen: Map<DescField, number>): string {
  if (field.fieldKind !== 'list') return field.name;
  const index = seen.get(field) ?? 0;
  seen.set(field, index + 1);
  return `${field.name}[${index}]`;
}

function fits(field: DescField, wireType: WireType): boolean {
  const own = wireTypeOf(field);
  // Numbers of a list may be packed or not, whatever the schema says.
  return wireType === own || (field.fieldKind === 'list' && wireType === WireType.LengthDelimited);
}

function wireTypeOf(field: DescField): WireType {
  if (field.fieldKind === 'map' || field.message) return WireType.LengthDelimited;
  if (field.enum) return WireType.Varint;
  return WIRE_TYPES[field.scalar ?? ScalarType.STRING] ?? WireType.Varint;
}

const WIRE_TYPES: Readonly<Partial<Record<ScalarType, WireType>>> = {
  [ScalarType.STRING]: WireType.LengthDelimited,
  [ScalarType.BYTES]: WireType.LengthDelimited,
  [ScalarType.DOUBLE]: WireType.Bit64,
  [ScalarType.FIXED64]: WireType.Bit64,
  [ScalarType.SFIXED64]: WireType.Bit64,
  [ScalarType.FLOAT]: WireType.Bit32,
  [ScalarType.FIXED32]: WireType.Bit32,
  [ScalarType.SFIXED32]: WireType.Bit32,
};
