import {
  type DescEnum,
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  ScalarType,
  fromJson,
} from '@bufbuild/protobuf';
import { hasCustomJsonRepresentation } from '@bufbuild/protobuf/wkt';
import type { FieldViolation } from '../input/invalid-argument.js';
import { shownKey } from './shown-key.js';

/** What of a message's JSON is looked at by itself. */
interface Place {
  readonly path: string;
  readonly field: DescField;
  readonly value: JsonValue;
  /** Whether the value is one of a list or map. */
  readonly isItem: boolean;
  /** The message that the field is of, and JSON of it with nothing else in it. */
  readonly owner: DescMessage;
  readonly alone: JsonObject;
}

/** As deep as protobuf-es reads. What nests deeper is judged as a whole. */
const MAX_DEPTH = 100;
const SHOWN_NAME = 64;
/** Of a message full of faults. */
const MOST_FOUND = 20;
/** Of a message that is refused already: nobody's processor is busy for long with telling why. */
const MOST_JUDGED = 10_000;

/**
 * Names of enum values that there are not. With `ignoreUnknownFields` protobuf-es leaves them out, and with them the
 * filter that somebody asked for. Numbers are taken, known or not: enums are open.
 * https://protobuf.dev/programming-guides/json/
 */
export function unknownEnumNames(desc: DescMessage, json: JsonValue): FieldViolation[] {
  if (!isObject(json) || !reachesEnum(desc)) return [];
  const found: FieldViolation[] = [];
  for (const { path, field, value, isItem } of placesIn(desc, json)) {
    const { enum: names, fieldKind } = field;
    if (!names || typeof value !== 'string' || (fieldKind !== 'enum' && !isItem)) continue;
    if (names.values.some(({ name }) => name === value)) continue;
    found.push({ field: path, description: `${oneOf(names)}; it is "${value.slice(0, SHOWN_NAME)}"` });
    if (found.length === MOST_FOUND) break;
  }
  return found;
}

/** The fields because of which protobuf-es does not take the JSON: it is the judge of each by itself. */
export function jsonFaults(desc: DescMessage, json: JsonValue): FieldViolation[] {
  const found: FieldViolation[] = [];
  let judged = 0;
  for (const place of isObject(json) ? placesIn(desc, json) : []) {
    if (!isReadable(place.owner, place.alone)) found.push({ field: place.path, description: faultOf(place) });
    if (found.length === MOST_FOUND || (judged += 1) === MOST_JUDGED) break;
  }
  return found;
}

export function isReadable(desc: DescMessage, json: JsonValue): boolean {
  try {
    fromJson(desc, json, { ignoreUnknownFields: true });
    return true;
  } catch {
    // Why it is not would be told in the words of the library; only that counts here.
    return false;
  }
}

/** Every value that is not itself a message with fields, and what stands in the place of one. */
function* placesIn(desc: DescMessage, json: JsonObject, prefix = '', depth = 0): Generator<Place> {
  const taken = new Map<string, string>();
  for (const key of Object.keys(json)) {
    const field = fieldOf(desc, key);
    const value = json[key];
    if (!field || value === undefined) continue;
    const at = { path: prefix + field.name, field, owner: desc, isItem: false };
    yield* placesOf(at, key, value, depth);
    const group = field.oneof?.name ?? field.name;
    const before = taken.get(group);
    if (before !== undefined) yield { ...at, value, alone: { [before]: json[before] ?? null, [key]: value } };
    taken.set(group, key);
  }
}

type At = Omit<Place, 'value' | 'alone'>;

function* placesOf(at: At, key: string, value: JsonValue, depth: number): Generator<Place> {
  const { path, field } = at;
  if (field.fieldKind === 'list' && Array.isArray(value)) {
    for (const [index, item] of value.entries()) {
      const place = { ...at, path: `${path}[${index}]`, value: item, isItem: true, alone: { [key]: [item] } };
      yield* within(place, depth) ?? [place];
    }
  } else if (field.fieldKind === 'map' && isObject(value)) {
    for (const [name, item] of Object.entries(value)) {
      const itemPath = `${path}[${shownKey(name)}]`;
      const place = { ...at, path: itemPath, value: item, isItem: true, alone: { [key]: { [name]: item } } };
      const inner = within(place, depth);
      // What is inside has its own places; the key has this one.
      yield inner ? { ...place, alone: { [key]: { [name]: {} } } } : place;
      if (inner) yield* inner;
    }
  } else {
    const place = { ...at, value, alone: { [key]: value } };
    yield* within(place, depth) ?? [place];
  }
}

/** undefined where there is nothing to look into. */
function within({ field, value, path, isItem }: Place, depth: number): Generator<Place> | undefined {
  const { message, fieldKind } = field;
  if (!message || hasCustomJsonRepresentation(message) || !isObject(value) || depth >= MAX_DEPTH) return undefined;
  // A list or map of messages is none itself.
  if (fieldKind !== 'message' && !isItem) return undefined;
  return placesIn(message, value, `${path}.`, depth + 1);
}

function faultOf({ field, value, alone, isItem }: Place): string {
  if (Object.keys(alone).length > 1) {
    const rivals = field.oneof?.fields.map(({ name }) => name).join(', ');
    return rivals === undefined ? 'must be given once' : `must be the only one given of ${rivals}`;
  }
  return `${expected(field, isItem)}; it is ${kindOf(value)}`;
}

function expected(field: DescField, isItem: boolean): string {
  if (field.fieldKind === 'list' && !isItem) return 'must be a list';
  if (field.fieldKind === 'map' && !isItem) return 'must be an object';
  if (field.enum) return oneOf(field.enum);
  if (field.message) return MESSAGES[field.message.typeName] ?? 'must be an object';
  return SCALARS[field.scalar ?? ScalarType.STRING] ?? WHOLE_NUMBER;
}

const WHOLE_NUMBER = 'must be a whole number in the range of its type';
const REAL_NUMBER = 'must be a number';
const SCALARS: Readonly<Partial<Record<ScalarType, string>>> = {
  [ScalarType.STRING]: 'must be a string',
  [ScalarType.BOOL]: 'must be true or false',
  [ScalarType.BYTES]: 'must be a string of base64',
  [ScalarType.DOUBLE]: REAL_NUMBER,
  [ScalarType.FLOAT]: REAL_NUMBER,
};
const MESSAGES: Readonly<Record<string, string>> = {
  'google.protobuf.Timestamp': 'must be a time of RFC 3339 like "2026-01-31T12:00:00Z"',
  'google.protobuf.Duration': 'must be a duration in seconds like "1.5s"',
};

function oneOf({ values }: DescEnum): string {
  return `must be one of ${values.map(({ name }) => name).join(', ')}, or a number`;
}

/** Never the value itself: it may be a key that came in the wrong type. */
function kindOf(value: JsonValue): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function fieldOf({ fields }: DescMessage, key: string): DescField | undefined {
  return fields.find(({ name, jsonName }) => name === key || jsonName === key);
}

const enumReach = new WeakMap<DescMessage, boolean>();

/** Of most requests it is not so, and nothing of them has to be looked at. */
function reachesEnum(desc: DescMessage): boolean {
  const known = enumReach.get(desc);
  if (known !== undefined) return known;
  // Until it is known: a message may hold messages of its own kind.
  enumReach.set(desc, false);
  const reaches = desc.fields.some(
    ({ enum: names, message }) => names !== undefined || (message && reachesEnum(message)),
  );
  enumReach.set(desc, reaches);
  return reaches;
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
