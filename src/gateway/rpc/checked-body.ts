import type { DescMessage } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { type Compression, compressedFlag, encodeEnvelope } from '@connectrpc/connect/protocol';
import { codeToString } from '@connectrpc/connect/protocol-connect';
import { EnvelopeReader } from './envelope-reader.js';
import { readMessage } from './read-message.js';
import { COMPRESSIONS } from './rpc-compression.js';
import type { RpcCall } from './rpc-call.js';
import type { RpcExchange } from './rpc-exchange.js';
import { tooLarge } from './too-large.js';

export interface CheckedBodyOptions {
  /** Of what kind each message is. */
  readonly input: DescMessage;
  readonly maxBytes: number;
}

const UNARY = /^application\/(?:json|proto)\b/i;
const JSON_TYPE = /^application\/(?:(?:connect|grpc|grpc-web)\+)?json\b/i;
/** Set on the last message of a stream, which is none of the method's: by Connect and by gRPC-Web. */
const END_FLAGS = 0b1000_0010;

export function isJsonType(contentType: string | undefined): boolean {
  return JSON_TYPE.test(contentType ?? '');
}

/**
 * The body of a request as it came, once its messages have been found to be readable. What the library says of others is
 * in its own words, without the field, `internal` over gRPC; and unknown names of enum values it leaves out.
 *
 * @throws ConnectError while it is read: `invalid_argument`, `resource_exhausted`
 */
export async function* checkedBody(
  exchange: RpcExchange,
  call: RpcCall,
  options: CheckedBodyOptions,
): AsyncGenerator<Uint8Array> {
  const type = exchange.header.get('content-type') ?? '';
  const checked = UNARY.test(type) ? checkedMessage : checkedStream;
  try {
    yield* checked(exchange, options, !isJsonType(type));
  } catch (error) {
    if (error instanceof ConnectError) call.code = codeToString(error.code);
    throw error;
  }
}

async function* checkedMessage(
  { body, header, contentLength }: RpcExchange,
  { input, maxBytes }: CheckedBodyOptions,
  isBinary: boolean,
): AsyncGenerator<Uint8Array> {
  if (contentLength > maxBytes) throw tooLarge(maxBytes);
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of body) {
    length += chunk.length;
    if (length > maxBytes) throw tooLarge(maxBytes);
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks);
  const compression = compressionOf(header.get('content-encoding'));
  readMessage(input, compression ? await compression.decompress(bytes, maxBytes) : bytes, isBinary);
  yield bytes;
}

async function* checkedStream(
  { body, header }: RpcExchange,
  { input, maxBytes }: CheckedBodyOptions,
  isBinary: boolean,
): AsyncGenerator<Uint8Array> {
  const compression = compressionOf(header.get('connect-content-encoding') ?? header.get('grpc-encoding'));
  const reader = new EnvelopeReader(maxBytes);
  for await (const chunk of body) {
    const messages: Array<{ readonly flags: number; readonly bytes: Buffer<ArrayBuffer> }> = [];
    reader.read(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength), (flags, bytes) =>
      messages.push({ flags, bytes: Buffer.from(bytes) }),
    );
    for (const { flags, bytes } of messages) {
      const isCompressed = (flags & compressedFlag) !== 0;
      // What is flagged as compressed by nothing that is known, the library refuses.
      if ((flags & END_FLAGS) === 0 && (!isCompressed || compression)) {
        const plain = isCompressed && compression ? await compression.decompress(bytes, maxBytes) : bytes;
        readMessage(input, plain, isBinary);
      }
      yield encodeEnvelope(flags, bytes);
    }
  }
  if (reader.isInMessage) throw new ConnectError('the request ends within a message', Code.InvalidArgument);
}

function compressionOf(name: string | null): Compression | undefined {
  return COMPRESSIONS.find((each) => each.name === name);
}
