import { type DescMessage, create, createFileRegistry } from '@bufbuild/protobuf';
import {
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FileDescriptorProtoSchema,
} from '@bufbuild/protobuf/wkt';
import { Code, ConnectError, type Transport } from '@connectrpc/connect';
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from '@connectrpc/connect-node';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { gzipSync } from 'node:zlib';
import { RpcRoom } from '../../../test/support/rpc-room.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';

const WIRES = ['connect', 'grpc', 'grpc-web'].flatMap((protocol) =>
  (['1.1', '2'] as const).flatMap((httpVersion) =>
    protocol === 'grpc' && httpVersion === '1.1'
      ? []
      : [true, false].map((useBinaryFormat) => ({ protocol, httpVersion, useBinaryFormat })),
  ),
);
type Wire = (typeof WIRES)[number];

function transportOf({ protocol, ...options }: Wire, baseUrl: string): Transport {
  if (protocol === 'grpc') return createGrpcTransport({ ...options, httpVersion: '2', baseUrl } as never);
  return (protocol === 'connect' ? createConnectTransport : createGrpcWebTransport)({ ...options, baseUrl });
}

/** Messages of somebody who has the fields right, and their types wrong. */
function wrongMessages(): { readonly names: DescMessage; readonly numbers: DescMessage } {
  const { REPEATED, OPTIONAL } = FieldDescriptorProto_Label;
  const { STRING, MESSAGE, INT32 } = FieldDescriptorProto_Type;
  const statuses = { name: 'statuses', jsonName: 'statuses', number: 2, type: STRING, label: REPEATED };
  const filter = { name: 'filter', jsonName: 'filter', number: 1, label: OPTIONAL };
  const file = create(FileDescriptorProtoSchema, {
    name: 'wrong.proto',
    package: 'wrong',
    syntax: 'proto3',
    messageType: [
      { name: 'Names', field: [{ ...filter, type: MESSAGE, typeName: '.wrong.Filter' }, statuses] },
      { name: 'Filter', field: [statuses] },
      { name: 'Numbers', field: [{ ...filter, type: INT32 }] },
    ],
  });
  const registry = createFileRegistry(file, () => undefined);
  const [names, numbers] = ['Names', 'Numbers'].map((name) => registry.getMessage(`wrong.${name}`));
  if (!names || !numbers) throw new Error('there are no such messages');
  return { names, numbers };
}

const { names, numbers } = wrongMessages();
const STATUSES = ['RUN_STATUS_FAILED', 'RUN_STATUS_BOGUS'];

describe.each(WIRES)('bad input over $protocol, HTTP/$httpVersion, binary: $useBinaryFormat', (wire) => {
  let room: RpcRoom;
  let transport: Transport;

  beforeEach(async () => {
    room = await RpcRoom.open({ gateway: { maxMessageBytes: 2_048 } });
    transport = transportOf(wire, room.url);
  });
  afterEach(() => room.close());

  async function refusalOf(call: Promise<unknown>): Promise<{ code: Code; message: string; fields: string[] }> {
    const error = await call.then(
      () => new ConnectError('it was taken', Code.Unknown),
      (thrown: unknown) => ConnectError.from(thrown),
    );
    const violations = error.findDetails(BadRequestSchema).flatMap(({ fieldViolations }) => fieldViolations);
    return { code: error.code, message: error.rawMessage, fields: violations.map(({ field }) => field) };
  }

  const listRuns = (input: DescMessage, message: object) =>
    refusalOf(
      transport.unary(
        { ...RunService.method.listRuns, input } as never,
        undefined,
        undefined,
        undefined,
        message as never,
      ),
    );

  const watchRuns = (input: DescMessage, message: object) =>
    refusalOf(
      (async () => {
        const method = { ...StreamService.method.watchRuns, input } as never;
        const messages = (async function* () {
          yield message as never;
        })();
        const answer = await transport.stream(method, undefined, undefined, undefined, messages);
        await answer.message[Symbol.asyncIterator]().next();
      })(),
    );

  const invalid = (field: string) => ({
    code: Code.InvalidArgument,
    fields: [field],
    message: expect.stringMatching(new RegExp(`^${field.replaceAll(/[[\]]/g, '\\$&')} must `)),
  });

  it('is told with the path of the field, of calls and of streams', async () => {
    const { useBinaryFormat } = wire;
    const told = useBinaryFormat
      ? [await listRuns(numbers, { filter: 5 }), await watchRuns(numbers, { filter: 5 })]
      : [await listRuns(names, { filter: { statuses: STATUSES } }), await watchRuns(names, { statuses: STATUSES })];
    const paths = useBinaryFormat ? ['filter', 'workflow_ids[0]'] : ['filter.statuses[1]', 'statuses[1]'];
    expect(told).toEqual(paths.map(invalid));
    await room.untilEnded(2);
    expect(room.ended.map(({ code }) => code)).toEqual(['invalid_argument', 'invalid_argument']);
    expect(room.callers).toEqual([]);
  });

  it('that is too large is told with the limit and its setting', async () => {
    const told = [
      await listRuns(names, { statuses: ['x'.repeat(300_000)] }),
      await watchRuns(names, { statuses: ['x'.repeat(300_000)] }),
      await watchRuns(names, { statuses: ['x'.repeat(3_000)] }),
    ];
    const message = expect.stringMatching(/2048 bytes.*CROWSNEST_GATEWAY_MAX_MESSAGE/);
    expect(told).toEqual(told.map(() => ({ code: Code.ResourceExhausted, fields: [], message })));
    await room.untilEnded(3);
    expect(room.ended.map(({ code }) => code)).toEqual(told.map(() => 'resource_exhausted'));
  });
});

describe('bad input over Connect', () => {
  let room: RpcRoom;

  beforeEach(async () => {
    room = await RpcRoom.open({ gateway: { maxMessageBytes: 2_048 } });
  });
  afterEach(() => room.close());

  async function post(body: string | Buffer, headers: Record<string, string> = {}) {
    const answer = await fetch(`${room.url}/flowwatch.v1.RunService/ListRuns`, {
      method: 'POST',
      headers: { 'Content-Type': 'application/json', ...headers },
      body: body as never,
    });
    return { status: answer.status, ...((await answer.json()) as { code?: string; message?: string }) };
  }

  const packed = (json: string): [Buffer, Record<string, string>] => [gzipSync(json), { 'Content-Encoding': 'gzip' }];

  it.each([
    ['a time that is none', '{"filter":{"timeRange":{"to":"soon"}}}', /^filter.time_range.to must be a time/],
    ['half a message', '{"filter":', /not valid JSON/],
    ['nothing', '', /is empty/],
    ['a list', '[]', /cannot be read as flowwatch.v1.ListRunsRequest/],
  ])('is a 400 that says what and where: %s', async (_what, json, message) => {
    const expected = { status: 400, code: 'invalid_argument', message: expect.stringMatching(message) };
    expect(await post(json)).toMatchObject(expected);
    expect(await post(...packed(json))).toMatchObject(expected);
    expect(room.callers).toEqual([]);
  });

  it('is told of what is compressed badly, or too much', async () => {
    const badly = await post(Buffer.from('no gzip'), { 'Content-Encoding': 'gzip' });
    expect(badly).toMatchObject({ status: 400, code: 'invalid_argument', message: expect.stringContaining('gzip') });
    const bomb = await post(...packed(`{"orderBy":"${'x'.repeat(1_000_000)}"}`));
    expect(bomb).toMatchObject({ status: 429, message: expect.stringContaining('CROWSNEST_GATEWAY_MAX_MESSAGE') });
  });

  it('is none in fields and enum numbers that are not known yet', async () => {
    expect(await post('{"later":"x","filter":{"statuses":[99,"RUN_STATUS_FAILED"]}}')).toMatchObject({ status: 200 });
    expect(room.callers).toMatchObject([{ request: { filter: { statuses: [99, 4] } } }]);
  });
});
