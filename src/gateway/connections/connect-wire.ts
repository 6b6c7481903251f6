import type { DescMessage, MessageShape } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  codeFromHttpStatus,
  endStreamFlag,
  endStreamFromJson,
  errorFromJsonBytes,
} from '@connectrpc/connect/protocol-connect';
import { compressedFlag } from '@connectrpc/connect/protocol';
import { CallFailure } from './call-failure.js';
import type { WireAnswer, WireHead } from './link.js';
import { AnsweredError } from './subsystem-error.js';
import { readToldMessage } from './told-message.js';

const ENVELOPE_HEAD = 5;

/** A unary answer of the Connect protocol. @throws AnsweredError, CallFailure */
export function readUnary<O extends DescMessage>(output: O, answer: WireAnswer): MessageShape<O> {
  if (answer.status !== 200) throw unaryError(answer);
  expectType(answer, 'application/proto');
  return parse(output, answer.body);
}

/** Reads the messages of a stream. @throws AnsweredError, CallFailure */
export async function* readStream<O extends DescMessage>(
  output: O,
  head: WireHead,
  chunks: AsyncIterable<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<MessageShape<O>> {
  if (head.status !== 200) throw notConnect(head);
  expectType(head, 'application/connect+proto');
  const envelopes = new EnvelopeReader(maxBytes);
  for await (const chunk of chunks) {
    envelopes.add(chunk);
    for (let envelope = envelopes.next(); envelope; envelope = envelopes.next()) {
      if ((envelope.flags & compressedFlag) !== 0) throw new CallFailure('unreadable', 'it compresses unasked');
      if ((envelope.flags & endStreamFlag) !== 0) {
        throwEndError(envelope.data);
        return;
      }
      yield parse(output, envelope.data);
    }
  }
  throw new CallFailure('cut', 'the connection to it broke');
}

/** One message as the body of a streaming request. */
export function enveloped(message: Uint8Array): Uint8Array {
  const body = Buffer.allocUnsafe(ENVELOPE_HEAD + message.length);
  body[0] = 0;
  body.writeUInt32BE(message.length, 1);
  body.set(message, ENVELOPE_HEAD);
  return body;
}

/** Cuts a stream of bytes into envelopes: a byte of flags, four of length, the data. */
class EnvelopeReader {
  private buffered: Buffer = Buffer.alloc(0);
  private parts: Uint8Array[] = [];
  private bytes = 0;
  private needed = ENVELOPE_HEAD;

  constructor(private readonly maxBytes: number) {}

  add(chunk: Uint8Array): void {
    this.parts.push(chunk);
    this.bytes += chunk.length;
  }

  next(): { readonly flags: number; readonly data: Uint8Array } | undefined {
    if (this.bytes < this.needed) return undefined;
    this.join();
    const length = this.buffered.readUInt32BE(1);
    if (length > this.maxBytes) {
      throw new CallFailure('oversized', `a message of it has more than ${this.maxBytes} bytes`);
    }
    this.needed = ENVELOPE_HEAD + length;
    if (this.bytes < this.needed) return undefined;
    const flags = this.buffered[0] ?? 0;
    const data = this.buffered.subarray(ENVELOPE_HEAD, this.needed);
    this.buffered = this.buffered.subarray(this.needed);
    this.bytes -= this.needed;
    this.needed = ENVELOPE_HEAD;
    return { flags, data };
  }

  /** Only once enough is there: bytes that drip in are not copied again for each drop. */
  private join(): void {
    if (this.parts.length === 0) return;
    this.buffered = Buffer.concat([this.buffered, ...this.parts], this.bytes);
    this.parts = [];
  }
}

function parse<O extends DescMessage>(output: O, bytes: Uint8Array): MessageShape<O> {
  try {
    return readToldMessage(output, bytes);
  } catch (error) {
    throw new CallFailure('unreadable', 'it sent something that is not the message', { cause: error });
  }
}

function expectType(head: WireHead, type: string): void {
  const isPlain = head.encoding === '' || head.encoding.toLowerCase() === 'identity';
  if (isPlain && head.contentType.split(';', 1)[0]?.trim().toLowerCase() === type) return;
  throw new CallFailure('not-connect', 'it did not answer in the Connect protocol', { code: Code.Internal });
}

function unaryError(answer: WireAnswer): Error {
  if (!/^application\/json\b/i.test(answer.contentType)) return notConnect(answer);
  const fallback = new ConnectError('', Code.Unknown);
  try {
    return new AnsweredError(errorFromJsonBytes(answer.body, undefined, fallback));
  } catch (error) {
    // What the library throws when the body is no Connect error.
    if (error === fallback) return notConnect(answer);
    throw error;
  }
}

function throwEndError(data: Uint8Array): void {
  let end: ReturnType<typeof endStreamFromJson>;
  try {
    end = endStreamFromJson(data);
  } catch (error) {
    throw new CallFailure('unreadable', 'it ended the stream in a way that is not Connect', {
      cause: error,
    });
  }
  if (end.error) throw new AnsweredError(end.error);
}

/** https://connectrpc.com/docs/protocol#http-to-error-code */
function notConnect({ status }: WireHead): CallFailure {
  const isRedirect = status >= 300 && status < 400;
  const code = codeFromHttpStatus(status);
  return new CallFailure(
    isRedirect ? 'redirected' : 'not-connect',
    `it answered with HTTP status ${status}${isRedirect ? ', and redirects are not followed' : ''}`,
    // What answers 4xx has not let the call through.
    { code: code === Code.Unauthenticated ? Code.Internal : code, mayBeProcessed: status < 400 || status >= 500 },
  );
}
