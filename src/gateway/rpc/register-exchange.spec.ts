import '../../../test/support/quiet-logger.js';
import {
  type ClientHttp2Session,
  type ClientHttp2Stream,
  type OutgoingHttpHeaders,
  connect,
  constants,
} from 'node:http2';
import { type Socket, createConnection } from 'node:net';
import { gzipSync } from 'node:zlib';
import { create, toBinary } from '@bufbuild/protobuf';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { settle } from '../../../test/support/fake-clock.js';
import { type RegistryRoom, makeRegistryRoom } from '../../../test/support/registry-room.js';
import { RegistrationClient } from '../../../test/support/registration-client.js';
import { INSTALLATION, RpcRoom, type WireName, transportOf } from '../../../test/support/rpc-room.js';
import { SYSTEM_SCOPE } from '../../auth/index.js';
import { SubsystemMessageSchema } from '../gen/flowwatch/v1/gateway_service_pb.js';
import { BadRequestSchema } from '../gen/google/rpc/error_details_pb.js';
import { EnvelopeReader } from './envelope-reader.js';

const A = 'http://127.0.0.1:8090';
const H = 10_000;
const DEADLINE = new AbortController().signal;
const billing = { subsystemId: 'billing', flowwatchEndpoint: A };
const MAX_BYTES = 1_024;

let registry: RegistryRoom;
let wire: RpcRoom;
beforeEach(async () => {
  registry = makeRegistryRoom();
  registry.endpoints.listen(A);
  await registry.runnable.start();
  wire = await RpcRoom.open({ gateway: { maxMessageBytes: MAX_BYTES } });
  wire.register = (messages, context) => registry.registration.register(messages, context);
  wire.openRegistration = (...given) => registry.registration.open(...given);
});
afterEach(async () => {
  await wire.close();
  await registry.runnable.stop(DEADLINE);
});

const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await settle(1);
};

// The first two are served by the exchange, the others by the library: nobody may notice.
describe.each<WireName>(['connect', 'connect-json', 'grpc', 'grpc-web'])('a registration over %s', (name) => {
  const clients: RegistrationClient[] = [];
  afterEach(() => {
    for (const client of clients.splice(0)) client.cut();
  });
  const open = (): RegistrationClient => {
    const client = new RegistrationClient(transportOf(name, '2', wire.url));
    clients.push(client);
    return client;
  };
  const registered = async (): Promise<RegistrationClient> => {
    const client = open();
    client.register(billing);
    await until(() => client.said.length > 0);
    return client;
  };

  it('is accepted, pinged, and ends with the half-close of its client', async () => {
    const client = await registered();
    expect(client.said).toEqual(['registered true']);
    expect(client.received[0]?.msg.value).toMatchObject({ heartbeatInterval: { seconds: 10n } });
    for (const pings of [1, 2]) {
      await registry.clock.advance(H);
      await until(() => client.pings === pings);
      client.pong();
      const beat = new Date(registry.clock.now()).toISOString();
      await until(() => registry.service.get(SYSTEM_SCOPE, 'billing').lastBeatAt === beat);
    }
    client.halfClose();
    await client.ended;
    expect([client.error, registry.registration.streams]).toEqual([null, 0]);
    await wire.untilEnded(1);
    expect(wire.ended).toMatchObject([{ method: 'Register', access: 'own', code: 'ok', status: 200 }]);
  });

  it('is refused with what is wrong', async () => {
    const client = open();
    client.register({ ...billing, subsystemId: 'a~b' });
    await client.ended;
    expect(client.error?.code).toBe(Code.InvalidArgument);
    const [detail] = client.error?.findDetails(BadRequestSchema) ?? [];
    expect(detail?.fieldViolations).toMatchObject([{ field: 'subsystem_id' }]);
    await wire.untilEnded(1);
    expect(wire.ended).toMatchObject([{ code: 'invalid_argument' }]);
  });

  it('is told why before the error, if it may not stand where it says', async () => {
    const client = open();
    client.register({ ...billing, flowwatchEndpoint: 'http://169.254.169.254' });
    await client.ended;
    expect(client.said[0]).toMatch(/^registered false flowwatch_endpoint: /);
    expect(client.error?.code).toBe(Code.PermissionDenied);
  });

  it('ends when its client is gone', async () => {
    const client = await registered();
    client.cut();
    await until(() => registry.registration.streams === 0);
    await wire.untilEnded(1);
    // The client half-closes before it resets.
    expect(['canceled', 'ok']).toContain(wire.ended[0]?.code);
  });

  it('is told to leave before the service ends', async () => {
    const client = await registered();
    await registry.runnable.stop(DEADLINE);
    await client.ended;
    expect([client.said.at(-1), client.error]).toEqual(['disconnect the gateway is shutting down', null]);
  });

  it('ends as unavailable with the wire alone, which then takes no other', async () => {
    const client = await registered();
    const stopped = wire.rpc.stop(DEADLINE);
    await client.ended;
    await stopped;
    expect([client.error?.code, registry.registration.streams]).toEqual([Code.Unavailable, 0]);
    const late = open();
    await late.ended;
    expect(late.error?.code).toBe(Code.Unavailable);
  });

  it('is refused if it went round in a circle', async () => {
    const headers = { 'Crowsnest-Gateway-Path': INSTALLATION };
    const client = new RegistrationClient(transportOf(name, '2', wire.url), headers);
    await client.ended;
    expect([client.error?.code, registry.registration.streams]).toEqual([Code.FailedPrecondition, 0]);
  });
});

describe('the bytes of a registration', () => {
  let session: ClientHttp2Session;
  let socket: Socket;
  beforeEach(() => {
    session = connect(wire.url, {
      createConnection: ({ hostname, port }) => (socket = createConnection(Number(port), hostname)),
    });
  });
  afterEach(() => session.destroy());

  const registration = toBinary(
    SubsystemMessageSchema,
    create(SubsystemMessageSchema, { msg: { case: 'register', value: billing } }),
  );
  const open = (more: OutgoingHttpHeaders = {}): ClientHttp2Stream =>
    session.request({
      ':method': 'POST',
      ':path': '/flowwatch.v1.GatewayService/Register',
      'content-type': 'application/connect+proto',
      ...more,
    });
  /** All messages until the stream ends; the last is the end of the stream. */
  const answersOf = async (stream: ClientHttp2Stream): Promise<Array<{ flags: number; text: string }>> => {
    const messages: Array<{ flags: number; text: string }> = [];
    const reader = new EnvelopeReader(65_536);
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      reader.read(chunk, (flags, message) => messages.push({ flags, text: message.toString() }));
    }
    return messages;
  };
  const errorOf = async (stream: ClientHttp2Stream): Promise<string | undefined> => {
    const last = (await answersOf(stream)).at(-1);
    expect(last?.flags).toBe(2);
    return (JSON.parse(last?.text ?? '') as { error?: { code: string } }).error?.code;
  };

  it('may come one by one', async () => {
    const stream = open();
    for (const byte of encodeEnvelope(0, registration)) {
      stream.write(Buffer.from([byte]));
      await settle(1);
    }
    await until(() => registry.registration.streams === 1 && registry.registry.sessionCount === 1);
    stream.end();
    expect(await errorOf(stream)).toBeUndefined();
  });

  it.each([
    ['a message that is too large', Buffer.from([0, 0, 0, 4, 1]), 'resource_exhausted'],
    ['what is no message', encodeEnvelope(0, Buffer.from('no')), 'invalid_argument'],
    ['half a message', Buffer.from([0, 0, 0, 0, 9, 1]), 'invalid_argument'],
    ['nothing', Buffer.alloc(0), 'invalid_argument'],
    ['an end of stream', encodeEnvelope(2, Buffer.from('{}')), 'invalid_argument'],
    ['a compressed message without saying so', encodeEnvelope(1, gzipSync(registration)), 'internal'],
  ])('%s ends it with an error', async (_name, bytes, code) => {
    const stream = open();
    stream.end(Buffer.from(bytes));
    expect(await errorOf(stream)).toBe(code);
    expect([registry.registration.streams, registry.registry.sessionCount]).toEqual([0, 0]);
    await wire.untilEnded(1);
    expect(wire.ended).toMatchObject([{ code }]);
  });

  it.each(['application/connect+proto', 'application/grpc+proto', 'application/grpc-web+proto'])(
    'that never end do not keep a refused stream open, over %s',
    async (contentType) => {
      const stream = open({ 'content-type': contentType, te: 'trailers' });
      let answer = '';
      stream.on('data', (chunk: Buffer) => (answer += chunk.toString()));
      stream.on('trailers', (trailers) => (answer += JSON.stringify(trailers)));
      const closed = new Promise<void>((resolve) => stream.once('close', () => resolve()));
      stream.write(Buffer.from(encodeEnvelope(0, Buffer.from('no'))));
      await closed;
      expect(stream.rstCode).toBe(constants.NGHTTP2_NO_ERROR);
      expect(answer).toMatch(/invalid_argument|grpc-status"?: ?"?3\b/);
      await wire.untilEnded(1);
      expect(session.closed).toBe(false);
    },
  );

  it.each(['application/connect+proto', 'application/connect+json', 'application/grpc+proto'])(
    'may be none at all, over %s',
    async (contentType) => {
      const stream = session.request(
        { ':method': 'POST', ':path': '/flowwatch.v1.GatewayService/Register', 'content-type': contentType },
        { endStream: true },
      );
      stream.resume();
      await new Promise((resolve) => stream.once('close', resolve));
      await wire.untilEnded(1);
      expect(wire.ended).toMatchObject([{ code: 'invalid_argument' }]);
      expect([registry.registration.streams, stream.rstCode]).toEqual([0, constants.NGHTTP2_NO_ERROR]);
    },
  );

  it('that break off with the connection end it as canceled', async () => {
    const stream = open();
    stream.on('error', () => undefined);
    session.on('error', () => undefined);
    stream.write(Buffer.from(encodeEnvelope(0, registration)));
    await until(() => registry.registry.sessionCount === 1);
    socket.destroy();
    await wire.untilEnded(1);
    expect(wire.ended).toMatchObject([{ code: 'canceled' }]);
    expect([registry.registration.streams, registry.registry.sessionCount]).toEqual([0, 0]);
  });

  it('may be compressed, and limited in time', async () => {
    const zipped = open({ 'connect-content-encoding': 'gzip' });
    zipped.end(Buffer.from(encodeEnvelope(1, gzipSync(registration))));
    expect(await errorOf(zipped)).toBeUndefined();
    const short = open({ 'connect-timeout-ms': '50' });
    short.write(Buffer.from(encodeEnvelope(0, registration)));
    expect(await errorOf(short)).toBe('deadline_exceeded');
  });

  it('are answered with the headers of every call', async () => {
    const stream = open({ 'x-request-id': 'mine' });
    stream.end(Buffer.from(encodeEnvelope(0, registration)));
    const headers = await new Promise((resolve) => stream.once('response', (given) => resolve(given)));
    expect(headers).toMatchObject({
      ':status': 200,
      'content-type': 'application/connect+proto',
      'x-request-id': 'mine',
      'x-content-type-options': 'nosniff',
    });
    await answersOf(stream);
  });

  it('of a client that reads nothing are not written without end', async () => {
    const blocked = connect(wire.url, { settings: { initialWindowSize: 0 } });
    try {
      const stream = blocked.request({
        ':method': 'POST',
        ':path': '/flowwatch.v1.GatewayService/Register',
        'content-type': 'application/connect+proto',
      });
      stream.write(Buffer.from(encodeEnvelope(0, registration)));
      await until(() => registry.registry.sessionCount === 1);
      let sent = 0;
      const { registration: answers } = registry;
      expect(answers.streams).toBe(1);
      const pong = create(SubsystemMessageSchema, { msg: { case: 'pong', value: {} } });
      const bytes = Buffer.from(encodeEnvelope(0, toBinary(SubsystemMessageSchema, pong)));
      for (let beats = 0; beats < 100; beats += 1) {
        await registry.clock.advance(H);
        stream.write(bytes);
        await settle(3);
      }
      stream.on('data', (chunk: Buffer) => (sent += chunk.length));
      blocked.settings({ initialWindowSize: 65_535 });
      await until(() => sent > 0);
      await settle(50);
      expect(registry.registry.sessionCount).toBe(1);
      expect(sent).toBeLessThan(512);
    } finally {
      blocked.destroy();
    }
  });
});
