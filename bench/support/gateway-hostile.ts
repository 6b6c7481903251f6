// A subsystem that tells what it offers and then answers every call badly. Prints its endpoint. A line with an `Attack` makes it
// call itself through the gateway and register with wrong keys; an empty line ends that and gives one with the `AttackResult`.
import { type ClientHttp2Session, type ServerHttp2Stream, connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { create, toBinary } from '@bufbuild/protobuf';
import { createClient } from '@connectrpc/connect';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { createConnectTransport } from '@connectrpc/connect-node';
import { RunService, SubsystemMessageSchema } from './flowwatch-messages.ts';

export interface Attack {
  /** Of the gateway. */
  readonly origin: string;
  /** Under which it is registered there. */
  readonly subsystemId: string;
  readonly callsPerSecond: number;
  readonly registrationsPerSecond: number;
}

export interface AttackResult {
  /** Calls of its own runs that the gateway has answered, each with an error or without runs. */
  readonly answered: number;
  /** Calls that have reached it. */
  readonly reached: number;
  readonly refusedRegistrations: number;
}

const CHUNK = Buffer.alloc(64 * 1024, 0x0a);
const HEAD = { ':status': 200, 'content-type': 'application/proto' };
const DRIP_MS = 50;
const TICK_MS = 20;
let reached = 0;

/** Each in turn: without end as fast as it is taken, nothing, a byte now and then, and an end in the middle. */
const ANSWERS: ReadonlyArray<(stream: ServerHttp2Stream) => void> = [
  (stream) => {
    stream.respond(HEAD);
    const pour = (): void => {
      while (!stream.destroyed && stream.write(CHUNK));
    };
    stream.on('drain', pour);
    pour();
  },
  () => undefined,
  (stream) => {
    stream.respond(HEAD);
    const drips = setInterval(() => stream.destroyed || stream.write(CHUNK.subarray(0, 1)), DRIP_MS);
    stream.on('close', () => clearInterval(drips));
  },
  (stream) => {
    stream.respond({ ...HEAD, 'content-length': CHUNK.length });
    stream.write(CHUNK.subarray(0, 1_000), () => stream.session?.destroy());
  },
];

const server = createServer();
server.on('stream', (stream, { ':path': path = '' }) => {
  stream.on('error', () => undefined).resume();
  if (path.includes('WorkflowService')) {
    stream.respond(HEAD);
    stream.end();
    return;
  }
  ANSWERS[reached % ANSWERS.length]?.(stream);
  reached += 1;
});
server.on('sessionError', () => undefined);
server.listen(0, '127.0.0.1', () => {
  process.stdout.write(`http://127.0.0.1:${(server.address() as AddressInfo).port}\n`);
});

/** Every other one with its wrong key in the header, the rest in the message. */
function registerWrongly(session: ClientHttp2Session, number: number, refused: () => void): void {
  const value = { subsystemId: `wrong-${number}`, flowwatchEndpoint: 'http://127.0.0.1:1', apiKey: 'a-wrong-key' };
  const message = toBinary(
    SubsystemMessageSchema,
    create(SubsystemMessageSchema, { msg: { case: 'register', value } }),
  );
  const stream = session.request(
    {
      ':method': 'POST',
      ':path': '/flowwatch.v1.GatewayService/Register',
      'content-type': 'application/connect+proto',
      'connect-protocol-version': '1',
      ...(number % 2 === 0 ? { authorization: 'Bearer a-wrong-key' } : {}),
    },
    { endStream: false },
  );
  let said = '';
  stream.setEncoding('latin1').on('data', (text: string) => (said += text));
  stream.on('error', () => undefined).on('close', () => said.includes('unauthenticated') && refused());
  stream.end(encodeEnvelope(0, message));
}

function begin({ origin, subsystemId, callsPerSecond, registrationsPerSecond }: Attack): () => AttackResult {
  const client = createClient(RunService, createConnectTransport({ baseUrl: origin, httpVersion: '2' }));
  const session = connect(origin).on('error', () => undefined);
  const abort = new AbortController();
  const start = performance.now();
  const reachedBefore = reached;
  let [calls, registrations, answered, refusedRegistrations] = [0, 0, 0, 0];
  const call = async (): Promise<void> => {
    const { signal } = abort;
    const isList = calls % 2 === 0;
    const asked = isList
      ? client.listRuns({ filter: { subsystemIds: [subsystemId] } }, { signal })
      : client.getRun({ runId: `${subsystemId}~run` }, { signal });
    await asked.catch(() => undefined);
    if (!signal.aborted) answered += 1;
  };
  const ticks = setInterval(() => {
    const seconds = (performance.now() - start) / 1_000;
    for (; calls < seconds * callsPerSecond; calls += 1) void call();
    for (; registrations < seconds * registrationsPerSecond; registrations += 1) {
      registerWrongly(session, registrations, () => (refusedRegistrations += 1));
    }
  }, TICK_MS);
  return () => {
    clearInterval(ticks);
    abort.abort();
    session.destroy();
    return { answered, reached: reached - reachedBefore, refusedRegistrations };
  };
}

let end: (() => AttackResult) | undefined;
for await (const line of createInterface({ input: process.stdin })) {
  if (line !== '') end = begin(JSON.parse(line) as Attack);
  else process.stdout.write(`${JSON.stringify(end?.())}\n`);
}
// Streams that are kept open keep the process.
process.exit(0);
