// Watchers of runs over 8 connections. A line with `{open, watchers}` opens them; one with `{events}` is answered when each
// has got so many since the last; one with `{close}` closes them. Dies when an event is missing or comes twice.
import { type ClientHttp2Session, connect } from 'node:http2';
import { createInterface } from 'node:readline';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { Envelopes, StreamService, UndecodedRunEventSchema, enveloped } from './gateway-live-messages.ts';

export type WatchersCommand =
  { readonly open: string; readonly watchers: number } | { readonly events: number } | { readonly close: true };

const CONNECTIONS = 8;
const END_STREAM = 2;

let sessions: ClientHttp2Session[] = [];
let received: number[] = [];
let waiting: { readonly events: number; readonly resolve: () => void } | undefined;

function watch(session: ClientHttp2Session, index: number): void {
  const stream = session.request({
    ':method': 'POST',
    ':path': '/flowwatch.v1.StreamService/WatchRuns',
    'content-type': 'application/connect+proto',
    'connect-protocol-version': '1',
  });
  const input = StreamService.method.watchRuns.input;
  stream.end(enveloped(toBinary(input, create(input, {}))));
  const envelopes = new Envelopes();
  const last = new Map<bigint, number>();
  stream.on('data', (chunk: Buffer) => {
    for (const { flags, data } of envelopes.push(chunk)) {
      if ((flags & END_STREAM) !== 0) throw new Error(`watcher ${index} was ended: ${data.toString()}`);
      const { seconds: subsystem, nanos: number } = fromBinary(UndecodedRunEventSchema, data).eventTime ?? {
        seconds: -1n,
        nanos: 0,
      };
      const before = last.get(subsystem) ?? number - 1;
      if (number !== before + 1) throw new Error(`watcher ${index}: event ${number} of ${subsystem} after ${before}`);
      last.set(subsystem, number);
      received[index] = (received[index] ?? 0) + 1;
    }
    settle();
  });
}

function settle(): void {
  if (!waiting || received.some((count) => count < (waiting?.events ?? 0))) return;
  const { events, resolve } = waiting;
  waiting = undefined;
  if (received.some((count) => count > events)) throw new Error(`more than ${events} events came`);
  received = received.map(() => 0);
  resolve();
}

async function obey(command: WatchersCommand): Promise<void> {
  if ('open' in command) {
    received = Array.from({ length: command.watchers }, () => 0);
    sessions = Array.from({ length: CONNECTIONS }, () => connect(command.open));
    received.forEach((_, index) => watch(sessions[index % CONNECTIONS] as ClientHttp2Session, index));
  } else if ('events' in command) {
    await new Promise<void>((resolve) => {
      waiting = { events: command.events, resolve };
      settle();
    });
  } else for (const session of sessions) session.destroy();
}

for await (const line of createInterface({ input: process.stdin })) {
  await obey(JSON.parse(line) as WatchersCommand);
  process.stdout.write('done\n');
}
process.exit(0);
