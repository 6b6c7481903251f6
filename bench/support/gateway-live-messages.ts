// What the live benchmark needs of FlowWatch's messages as built; see flowwatch-messages.ts.
const built = (file: string): string => new URL(`../../dist/gateway/gen/${file}.js`, import.meta.url).href;

export const { StreamService, RunEventSchema, RunEventType } = (await import(
  built('flowwatch/v1/stream_service_pb')
)) as typeof import('../../src/gateway/gen/flowwatch/v1/stream_service_pb.ts');
export const { UndecodedRunEventSchema } = (await import(
  built('crowsnest/flowwatch/v1/undecoded_pb')
)) as typeof import('../../src/gateway/gen/crowsnest/flowwatch/v1/undecoded_pb.ts');

const HEAD_BYTES = 5;

/** A message of a Connect stream: a byte of flags, four of length, the message. */
export function enveloped(message: Uint8Array): Buffer {
  const head = Buffer.alloc(HEAD_BYTES);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}

/** Cuts what comes into messages. */
export class Envelopes {
  private rest: Buffer = Buffer.alloc(0);

  *push(chunk: Buffer): Generator<{ readonly flags: number; readonly data: Buffer }> {
    this.rest = this.rest.length > 0 ? Buffer.concat([this.rest, chunk]) : chunk;
    while (this.rest.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + this.rest.readUInt32BE(1);
      if (this.rest.length < end) return;
      const envelope = { flags: this.rest[0] ?? 0, data: this.rest.subarray(HEAD_BYTES, end) };
      this.rest = this.rest.subarray(end);
      yield envelope;
    }
  }
}
