import type { JsonReadOptions } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { createMethodSerializationLookup, encodeEnvelope } from '@connectrpc/connect/protocol';
import { createEndStreamSerialization, endStreamFlag } from '@connectrpc/connect/protocol-connect';
import { type GatewayMessage, GatewayService, type SubsystemMessage } from '../gen/flowwatch/v1/gateway_service_pb.js';

const COMPRESSED_FLAG = 0b0000_0001;

/** The messages of `Register` as bytes, in Connect's binary or JSON form. */
export class RegisterFormat {
  readonly contentType: string;
  private readonly parseRequest: (bytes: Uint8Array) => SubsystemMessage;
  private readonly serialize: (message: GatewayMessage) => Uint8Array;
  private readonly endStream: ReturnType<typeof createEndStreamSerialization>;
  private last: { readonly message: GatewayMessage; readonly bytes: Buffer } | undefined;

  constructor(isBinary: boolean, maxBytes: number, jsonOptions: Partial<JsonReadOptions>) {
    const limits = { readMaxBytes: maxBytes, writeMaxBytes: maxBytes };
    const lookup = createMethodSerializationLookup(GatewayService.method.register, undefined, jsonOptions, limits);
    const [input, output] = [lookup.getI(isBinary), lookup.getO(isBinary)];
    this.contentType = isBinary ? 'application/connect+proto' : 'application/connect+json';
    this.parseRequest = (bytes) => input.parse(bytes);
    this.serialize = (message) => output.serialize(message);
    this.endStream = createEndStreamSerialization(jsonOptions);
  }

  /** undefined for the end of the stream, which a client need not send. @throws ConnectError `invalid_argument`, `internal` */
  parse(flags: number, bytes: Uint8Array): SubsystemMessage | undefined {
    if ((flags & endStreamFlag) === endStreamFlag) return undefined;
    if ((flags & COMPRESSED_FLAG) === COMPRESSED_FLAG) {
      throw new ConnectError('a compressed message without Connect-Content-Encoding', Code.Internal);
    }
    try {
      return this.parseRequest(bytes);
    } catch (error) {
      // The library calls it `internal`, as gRPC wants it; over Connect that would say that the fault is ours.
      throw new ConnectError(ConnectError.from(error).rawMessage, Code.InvalidArgument);
    }
  }

  /** The same bytes for the same message again: one ping is for many. */
  message(message: GatewayMessage): Buffer {
    if (this.last?.message !== message) {
      this.last = { message, bytes: bufferOf(encodeEnvelope(0, this.serialize(message))) };
    }
    return this.last.bytes;
  }

  end(error: ConnectError | undefined): Buffer {
    const end = error === undefined ? { metadata: new Headers() } : { metadata: new Headers(), error };
    return bufferOf(encodeEnvelope(endStreamFlag, this.endStream.serialize(end)));
  }
}

function bufferOf({ buffer, byteOffset, byteLength }: Uint8Array): Buffer {
  return Buffer.from(buffer, byteOffset, byteLength);
}
