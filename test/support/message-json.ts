import {
  type DescField,
  type DescMessage,
  type JsonObject,
  type JsonValue,
  ScalarType,
  create,
  createFileRegistry,
} from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';

/** A message with an enum in every place that there is: alone, in a list, a map, a oneof, and further in. */
export function everyEnumPlace(): DescMessage {
  const { REPEATED, OPTIONAL } = FieldDescriptorProto_Label;
  const { ENUM, STRING, MESSAGE, INT64 } = FieldDescriptorProto_Type;
  const entry = (name: string, value: object) => ({
    name,
    options: { mapEntry: true },
    field: [
      { name: 'key', number: 1, type: STRING, label: OPTIONAL },
      { name: 'value', number: 2, label: OPTIONAL, ...value },
    ],
  });
  const hue = { type: ENUM, typeName: '.t.Hue' };
  const deeper = { type: MESSAGE, typeName: '.t.Place' };
  const field = [
    { name: 'one', number: 1, ...hue },
    { name: 'many_of', number: 2, label: REPEATED, ...hue },
    { name: 'by_name', number: 3, label: REPEATED, type: MESSAGE, typeName: '.t.Place.ByNameEntry' },
    { name: 'chosen', number: 4, oneofIndex: 0, ...hue },
    { name: 'text', number: 5, oneofIndex: 0, type: STRING },
    { name: 'inner', number: 6, ...deeper },
    { name: 'inners', number: 7, label: REPEATED, ...deeper },
    { name: 'named', number: 8, label: REPEATED, type: MESSAGE, typeName: '.t.Place.NamedEntry' },
    { name: 'count', number: 9, type: INT64 },
  ];
  const file = create(FileDescriptorProtoSchema, {
    name: 't.proto',
    package: 't',
    syntax: 'proto3',
    enumType: [{ name: 'Hue', value: ['NONE', 'RED', 'BLUE'].map((name, number) => ({ name, number })) }],
    messageType: [
      {
        name: 'Place',
        // Else protoc names them.
        field: field.map((each) => ({ label: OPTIONAL, jsonName: protoCamelCase(each.name), ...each })),
        oneofDecl: [{ name: 'pick' }],
        nestedType: [entry('ByNameEntry', hue), entry('NamedEntry', deeper)],
      },
    ],
  });
  const place = createFileRegistry(file, () => undefined).getMessage('t.Place');
  if (!place) throw new Error('there is no t.Place');
  return place;
}

function protoCamelCase(name: string): string {
  return name.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());
}

const ANYTHING: fc.Arbitrary<JsonValue> = fc.oneof<Array<fc.Arbitrary<JsonValue>>>(
  fc.string(),
  fc.integer(),
  fc.boolean(),
  fc.constant(null),
  fc.constant([]),
  fc.constant({}),
);

/** JSON that is mostly right: now and then another value stands where one is expected. */
export function messageJson(desc: DescMessage, depth = 0): fc.Arbitrary<JsonValue> {
  if (desc.typeName === 'google.protobuf.Timestamp') {
    return fc.constantFrom('2026-01-31T12:00:00Z', '2026-01-31T12:00:00.5+01:00', 'yesterday');
  }
  if (desc.typeName === 'google.protobuf.Duration') return fc.constantFrom('1.5s', '-3s', '1h');
  if (desc.typeName === 'google.protobuf.Struct')
    return fc.dictionary(fc.string(), fc.jsonValue()) as fc.Arbitrary<JsonValue>;
  const fields = desc.fields.filter((field) => depth < 2 || !field.message);
  const entries = fields.map((field): [string, fc.Arbitrary<JsonValue>] => [
    field.number % 2 === 0 ? field.name : field.jsonName,
    fc.oneof({ weight: 24, arbitrary: valueOf(field, depth) }, { weight: 1, arbitrary: ANYTHING }),
  ]);
  return fc.record(Object.fromEntries(entries), { requiredKeys: [] }) as fc.Arbitrary<JsonValue>;
}

function valueOf(field: DescField, depth: number): fc.Arbitrary<JsonValue> {
  const single = singleOf(field, depth);
  if (field.fieldKind === 'list') return fc.array(single, { maxLength: 3 });
  if (field.fieldKind === 'map') return fc.dictionary(fc.string({ maxLength: 4 }), single, { maxKeys: 3 });
  return single;
}

function singleOf({ enum: names, message, scalar }: DescField, depth: number): fc.Arbitrary<JsonValue> {
  if (names) return fc.oneof(fc.constantFrom(...names.values.map(({ name }) => name)), fc.nat(90));
  if (message) return messageJson(message, depth + 1);
  if (scalar === ScalarType.STRING) return fc.string();
  if (scalar === ScalarType.BOOL) return fc.boolean();
  if (scalar === ScalarType.INT64) return fc.oneof(fc.integer(), fc.constant('9007199254740993'));
  return fc.integer({ min: -9, max: 9 });
}

/** Every place of an enum value in JSON that is right, with a way to put another one there. */
export function enumPlaces(
  desc: DescMessage,
  json: JsonValue,
  path = '',
): Array<readonly [string, (name: string) => void]> {
  const object = json as JsonObject;
  return Object.keys(object).flatMap((key) => {
    const field = desc.fields.find(({ name, jsonName }) => name === key || jsonName === key);
    const value = object[key];
    if (!field || typeof value !== 'object' || value === null) {
      return field?.fieldKind === 'enum'
        ? [[path + field.name, (name: string) => void (object[key] = name)] as const]
        : [];
    }
    const at = path + field.name;
    const container = value as Record<string, JsonValue>;
    const items =
      field.fieldKind === 'list'
        ? Object.keys(container).map((index) => [index, `${at}[${index}]`] as const)
        : field.fieldKind === 'map'
          ? Object.keys(container).map((name) => [name, `${at}[${JSON.stringify(name)}]`] as const)
          : [];
    if (field.enum)
      return items.map(([item, where]) => [where, (name: string) => void (container[item] = name)] as const);
    const { message } = field;
    if (!message || message.typeName.startsWith('google.protobuf.')) return [];
    if (field.fieldKind === 'message') return enumPlaces(message, value, `${at}.`);
    return items.flatMap(([item, where]) => enumPlaces(message, container[item] ?? {}, `${where}.`));
  });
}
