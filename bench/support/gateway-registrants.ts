// Connections with one open stream each, as registered subsystems have them: a line with `Registrants` opens them and gives
// one when all have been answered. Pings are answered, as far as they come.
import { type ClientHttp2Session, connect } from 'node:http2';
import { createInterface } from 'node:readline';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { encodeEnvelope } from '@connectrpc/connect/protocol';
import { GatewayMessageSchema, SubsystemMessageSchema } from './flowwatch-messages.ts';

export interface Registrants {
  readonly origin: string;
  /** What they announce; without it they are streams of bytes to a bare server. */
  readonly endpoint?: string;
  readonly from: number;
  readonly to: number;
}

const AT_ONCE = 50;
const HEAD_BYTES = 5;
const sessions: ClientHttp2Session[] = [];

function pongTo(chunk: Buffer): Uint8Array | undefined {
  const { msg } = fromBinary(GatewayMessageSchema, chunk.subarray(HEAD_BYTES));
  if (msg.case === 'registered' && !msg.value.accepted) throw new Error(msg.value.rejectReason);
  if (msg.case === 'disconnect') throw new Error(msg.value.reason);
  if (msg.case !== 'ping') return undefined;
  const pong = create(SubsystemMessageSchema, { msg: { case: 'pong', value: msg.value } });
  return encodeEnvelope(0, toBinary(SubsystemMessageSchema, pong));
}

/** Resolves with the first answer. */
function open({ origin, endpoint }: Registrants, number: number): Promise<void> {
  const session = connect(origin);
  sessions.push(session);
  const stream = session.request(
    {
      ':method': 'POST',
      ':path': '/flowwatch.v1.GatewayService/Register',
      'content-type': 'application/connect+proto',
      'connect-protocol-version': '1',
    },
    { endStream: false },
  );
  const value = { subsystemId: `subsystem-${number}`, flowwatchEndpoint: endpoint ?? '' };
  const registration = create(SubsystemMessageSchema, { msg: { case: 'register', value } });
  stream.write(encodeEnvelope(0, toBinary(SubsystemMessageSchema, registration)));
  return new Promise((resolve, reject) => {
    session.on('error', reject);
    stream.on('error', reject);
    stream.on('close', () => reject(new Error(`stream ${number} has ended`)));
    // Messages are small and far apart: each comes as one chunk.
    stream.on('data', (chunk: Buffer) => {
      const pong = endpoint === undefined ? undefined : pongTo(chunk);
      if (pong) stream.write(pong);
      else resolve();
    });
  });
}

for await (const line of createInterface({ input: process.stdin })) {
  const registrants = JSON.parse(line) as Registrants;
  for (let first = registrants.from; first < registrants.to; first += AT_ONCE) {
    const length = Math.min(AT_ONCE, registrants.to - first);
    await Promise.all(Array.from({ length }, (_, i) => open(registrants, first + i)));
  }
  process.stdout.write('open\n');
}
for (const session of sessions) session.destroy();
process.exit(0);
