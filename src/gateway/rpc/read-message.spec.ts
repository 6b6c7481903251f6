import { type DescMessage, fromBinary, fromJson, fromJsonString, toBinary } from '@bufbuild/protobuf';
import { TimestampSchema } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { enumPlaces, everyEnumPlace, messageJson } from '../../../test/support/message-json.js';
import { SubsystemMessageSchema } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { CancelRunRequestSchema, ListRunsRequestSchema } from '../gen/flowwatch/v1/run_service_pb.js';
import { SearchResponseSchema } from '../gen/flowwatch/v1/search_service_pb.js';
import { StepExecutionSchema } from '../gen/flowwatch/v1/types_pb.js';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';
import { readMessage } from './read-message.js';

const Place = everyEnumPlace();
const DESCS = [Place, ListRunsRequestSchema, SubsystemMessageSchema, SearchResponseSchema, StepExecutionSchema];

interface Told {
  readonly code: Code;
  readonly message: string;
  readonly fields: readonly string[];
}

/** What is told of a message that is refused; undefined of one that is not. */
function refusal(desc: DescMessage, input: string | Uint8Array): Told | undefined {
  try {
    if (typeof input === 'string') readMessage(desc, Buffer.from(input), false);
    else readMessage(desc, input, true);
    return undefined;
  } catch (error) {
    const { code, rawMessage, ...rest } = ConnectError.from(error);
    const details = Object.assign(new ConnectError(rawMessage, code), rest).findDetails(BadRequestSchema);
    return { code, message: rawMessage, fields: details.flatMap((each) => each.fieldViolations.map((v) => v.field)) };
  }
}

function isStrictlyReadable(desc: DescMessage, json: string): boolean {
  try {
    fromJsonString(desc, json);
    return true;
  } catch {
    return false;
  }
}

describe('a message in JSON', () => {
  it('is taken if protobuf-es takes it, to the letter', () => {
    let taken = 0;
    for (const desc of DESCS) {
      fc.assert(
        fc.property(messageJson(desc), (json) => {
          const text = JSON.stringify(json);
          const told = refusal(desc, text);
          if (isStrictlyReadable(desc, text)) {
            taken += 1;
            expect(told).toBeUndefined();
            expect(readMessage(desc, Buffer.from(text), false)).toEqual(fromJsonString(desc, text));
            return;
          }
          expect(told).toMatchObject({
            code: Code.InvalidArgument,
            fields: expect.arrayContaining([expect.any(String)]),
          });
        }),
        { numRuns: 150 },
      );
    }
    expect(taken).toBeGreaterThan(100);
  });

  it('is refused with the exact path of an unknown name of an enum value, wherever that stands', () => {
    let tried = 0;
    for (const desc of [Place, ListRunsRequestSchema, SearchResponseSchema, StepExecutionSchema]) {
      fc.assert(
        fc.property(messageJson(desc), fc.nat(), (json, which) => {
          if (!isStrictlyReadable(desc, JSON.stringify(json))) return;
          const places = enumPlaces(desc, json);
          const [path, put] = places[which % Math.max(1, places.length)] ?? [];
          if (path === undefined || !put) return;
          put('BOGUS');
          tried += 1;
          expect(() => fromJson(desc, json, { ignoreUnknownFields: true })).not.toThrow();
          expect(refusal(desc, JSON.stringify(json))).toMatchObject({ code: Code.InvalidArgument, fields: [path] });
        }),
        { numRuns: 150 },
      );
    }
    expect(tried).toBeGreaterThan(50);
  });

  it.each([
    ['{"one":"PINK"}', ['one'], /one must be one of NONE, RED, BLUE, or a number; it is "PINK"/],
    ['{"manyOf":["RED","PINK",9]}', ['many_of[1]'], /PINK/],
    ['{"by_name":{"a b":"PINK"}}', ['by_name["a b"]'], /PINK/],
    ['{"chosen":"PINK"}', ['chosen'], /PINK/],
    ['{"inners":[{},{"named":{"x":{"inner":{"one":"PINK"}}}}]}', ['inners[1].named["x"].inner.one'], /PINK/],
    ['{"manyOf":["PINK","GREEN"],"one":"GREY"}', ['many_of[0]', 'many_of[1]', 'one'], /PINK.*GREEN.*GREY/],
    ['{"one":[]}', ['one'], /it is a list/],
    ['{"manyOf":"RED"}', ['many_of'], /must be a list; it is a string/],
    ['{"manyOf":[null]}', ['many_of[0]'], /it is null/],
    ['{"byName":[]}', ['by_name'], /must be an object; it is a list/],
    ['{"inner":"x"}', ['inner'], /must be an object; it is a string/],
    ['{"inner":{"count":"many"}}', ['inner.count'], /must be a whole number/],
    ['{"text":5}', ['text'], /must be a string; it is a number/],
    ['{"text":"a","chosen":1}', ['chosen'], /must be the only one given of chosen, text/],
    ['{"many_of":[],"manyOf":[]}', ['many_of'], /must be given once/],
    ['{"one":1,"one":2}', [], /same key twice/],
    ['{"one":', [], /not valid JSON: it ends too early/],
    ['{"one":1,}', [], /not valid JSON: see character 10/],
    ['{"one":é}', [], /not valid JSON: see the "é"/],
    ['', [], /is empty/],
    ['[]', [], /cannot be read as t.Place/],
    ['null', [], /cannot be read as t.Place/],
  ])('is refused with the fields, not in the words of the library: %s', (json, fields, message) => {
    const told = refusal(Place, json);
    expect(told).toEqual({ code: Code.InvalidArgument, message: expect.stringMatching(message), fields });
    expect(told?.message).not.toMatch(/cannot decode|at position|\.js/);
  });

  it('says how times are written, and never what stood there: it may be a key', () => {
    const range = refusal(ListRunsRequestSchema, '{"filter":{"timeRange":{"from":"yesterday"}}}');
    expect(range).toMatchObject({ fields: ['filter.time_range.from'], message: expect.stringContaining('RFC 3339') });
    const key = refusal(SubsystemMessageSchema, '{"register":{"apiKey":{"secret":"of-the-house"}}}');
    expect(key).toMatchObject({ fields: ['register.api_key'], message: expect.not.stringContaining('of-the-house') });
  });

  it('may hold fields and numbers of enums that are not known yet', () => {
    for (const json of ['{"later":{"x":"PINK"},"one":77}', '{"manyOf":[77,"RED"],"one":null}']) {
      expect(refusal(Place, json)).toBeUndefined();
    }
  });

  it('is not looked into deeper than messages go', () => {
    const deep = `${'{"inner":'.repeat(5_000)}{"one":"PINK"}${'}'.repeat(5_000)}`;
    expect(refusal(Place, deep)).toMatchObject({ code: Code.InvalidArgument });
    const endless = `{"one":1,"later":${'['.repeat(100_000)}${']'.repeat(100_000)}}`;
    expect(refusal(Place, endless)).toBeUndefined();
  });

  it('tells a bounded number of faults, under bounded names', () => {
    const told = refusal(Place, JSON.stringify({ manyOf: Array.from({ length: 1_000 }, () => 'PINK'.repeat(1_000)) }));
    expect(told?.fields).toHaveLength(20);
    expect(told?.message.length).toBeLessThan(4_096);
    const key = refusal(Place, JSON.stringify({ byName: { ['k'.repeat(10_000)]: 'PINK' } }));
    expect(key?.message.length).toBeLessThan(300);
  });
});

describe('a message in binary', () => {
  it('is taken if it is whole and of the right types, and else refused, in no words of the library', () => {
    for (const desc of DESCS) {
      fc.assert(
        fc.property(messageJson(desc), fc.nat(), (json, cut) => {
          const text = JSON.stringify(json);
          if (!isStrictlyReadable(desc, text)) return;
          const bytes = toBinary(desc, fromJsonString(desc, text));
          expect(readMessage(desc, bytes, true)).toEqual(fromBinary(desc, bytes));
          const told = refusal(desc, bytes.subarray(0, cut % Math.max(1, bytes.length)));
          if (told)
            expect(told).toMatchObject({ code: Code.InvalidArgument, message: expect.stringMatching(/cut off/) });
        }),
        { numRuns: 100 },
      );
    }
  });

  it('of whatever bytes is a message or refused', () => {
    fc.assert(
      fc.property(fc.constantFrom(...DESCS), fc.uint8Array({ maxLength: 40 }), (desc, bytes) => {
        const told = refusal(desc, bytes);
        if (told) expect(told.code).toBe(Code.InvalidArgument);
        else expect(() => fromBinary(desc, bytes)).not.toThrow();
      }),
      { numRuns: 500 },
    );
  });

  it.each([
    ['a string that is cut off', CancelRunRequestSchema, [0x0a, 9, 0x61], 'run_id'],
    ['a number where a string belongs', CancelRunRequestSchema, [0x08, 0], 'run_id'],
    ['text that is no UTF-8', CancelRunRequestSchema, [0x12, 2, 0xc3, 0x28], 'reason'],
    [
      'a field of a field',
      ListRunsRequestSchema,
      [0x0a, 6, 0x1a, 4, 0x0a, 2, 0x0a, 0],
      'filter.time_range.from.seconds',
    ],
    ['the second of many', ListRunsRequestSchema, [0x0a, 5, 0x0a, 1, 0x61, 0x08, 1], 'filter.workflow_ids[1]'],
    ['a time that is cut off', TimestampSchema, [0x08], 'seconds'],
  ])('is refused with the field: %s', (_what, desc: DescMessage, bytes, field) => {
    expect(refusal(desc, Uint8Array.from(bytes))).toMatchObject({ code: Code.InvalidArgument, fields: [field] });
  });

  it('without a field that is known says of what it should be', () => {
    const told = refusal(CancelRunRequestSchema, Uint8Array.of(0x7f, 0xff));
    expect(told).toMatchObject({ fields: [], message: expect.stringContaining('flowwatch.v1.CancelRunRequest') });
  });

  it('may hold fields and packed numbers as newer or older clients write them', () => {
    for (const bytes of [
      [0x7a, 1, 0x61],
      [0x0a, 4, 0x12, 2, 1, 77],
      [0x0a, 4, 0x10, 1, 0x10, 77],
    ]) {
      expect(refusal(ListRunsRequestSchema, Uint8Array.from(bytes))).toBeUndefined();
    }
  });
});
