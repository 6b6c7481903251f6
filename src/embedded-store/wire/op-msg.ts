import type { CommandRequest } from '../commands/command.js';
import { decode } from '../query/bson-types.js';
import { crc32c } from './crc32c.js';

/** MongoDB manual, "MongoDB Wire Protocol". */
export const OP_REPLY = 1;
export const OP_QUERY = 2004;
export const OP_MSG = 2013;
export const HEADER_BYTES = 16;
export const MAX_MESSAGE_BYTES = 48_000_000;

const CHECKSUM_PRESENT = 1;
const MORE_TO_COME = 2;
/** A receiver must refuse unknown bits below 16 and ignore those above. */
const REQUIRED_BITS = 0xffff;

/** The bytes are no message of this protocol: the connection cannot go on. */
export class WireError extends Error {}

export interface WireRequest extends CommandRequest {
  readonly requestId: number;
  /** The sender waits for no answer. */
  readonly isOneWay: boolean;
  /** Answered with OP_REPLY: the handshake of drivers that do not know yet whether we speak OP_MSG. */
  readonly isLegacy: boolean;
}

function int32(bytes: Buffer, at: number): number {
  if (at + 4 > bytes.length) throw new WireError('message ends inside a number');
  return bytes.readInt32LE(at);
}

/** The document that starts at `at`, as bytes. */
function documentAt(bytes: Buffer, at: number): Buffer {
  const length = int32(bytes, at);
  if (length < 5 || at + length > bytes.length) throw new WireError('document length is beyond its message');
  return bytes.subarray(at, at + length);
}

function cstringEnd(bytes: Buffer, at: number): number {
  const end = bytes.indexOf(0, at);
  if (end === -1) throw new WireError('string without an end');
  return end;
}

/** The first field's name: the command. */
function commandName(body: Buffer): string {
  return body.length <= 5 ? '' : body.toString('utf8', 5, cstringEnd(body, 5));
}

interface Section {
  readonly identifier: string;
  readonly documents: Buffer[];
}

function documentSequence(section: Buffer): Section {
  const nameEnd = cstringEnd(section, 0);
  const documents: Buffer[] = [];
  for (let at = nameEnd + 1; at < section.length;) {
    const document = documentAt(section, at);
    documents.push(document);
    at += document.length;
  }
  return { identifier: section.toString('utf8', 0, nameEnd), documents };
}

function parseBody(
  bytes: Buffer,
  sequences: Map<string, readonly Uint8Array[]>,
): Pick<CommandRequest, 'name' | 'database' | 'body'> {
  const name = commandName(bytes);
  const isInsert = name === 'insert';
  const body = decode(bytes, isInsert ? { documents: true } : undefined);
  if (isInsert && Array.isArray(body.documents) && body.documents.every((each) => each instanceof Uint8Array)) {
    // Documents to store stay as they came: they are decoded one by one, and stored without being encoded again.
    sequences.set('documents', body.documents);
    delete body.documents;
  }
  return { name, database: typeof body.$db === 'string' ? body.$db : 'admin', body };
}

function parseOpMsg(message: Buffer, requestId: number): WireRequest {
  const flags = int32(message, HEADER_BYTES);
  if ((flags & REQUIRED_BITS & ~(CHECKSUM_PRESENT | MORE_TO_COME)) !== 0) throw new WireError('unknown required flag');
  let end = message.length;
  if (flags & CHECKSUM_PRESENT) {
    end -= 4;
    if (end < HEADER_BYTES + 4 || crc32c(message.subarray(0, end)) !== message.readUInt32LE(end))
      throw new WireError('bad checksum');
  }
  let body: Buffer | undefined;
  const sequences = new Map<string, readonly Uint8Array[]>();
  const bytes = message.subarray(0, end);
  for (let at = HEADER_BYTES + 4; at < end;) {
    const kind = bytes[at++];
    if (kind === 0) {
      if (body) throw new WireError('two bodies in one message');
      body = documentAt(bytes, at);
      at += body.length;
    } else if (kind === 1) {
      const length = int32(bytes, at);
      if (length < 5 || at + length > end) throw new WireError('section length is beyond its message');
      const { identifier, documents } = documentSequence(bytes.subarray(at + 4, at + length));
      if (sequences.has(identifier)) throw new WireError('two document sequences of one name');
      sequences.set(identifier, documents);
      at += length;
    } else throw new WireError(`unknown section kind ${kind}`);
  }
  if (!body) throw new WireError('message without a body');
  return {
    ...parseBody(body, sequences),
    sequences,
    requestId,
    isOneWay: (flags & MORE_TO_COME) !== 0,
    isLegacy: false,
  };
}

function parseOpQuery(message: Buffer, requestId: number): WireRequest {
  const nameEnd = cstringEnd(message, HEADER_BYTES + 4);
  const collection = message.toString('utf8', HEADER_BYTES + 4, nameEnd);
  const request = parseBody(documentAt(message, nameEnd + 9), new Map());
  if (!collection.endsWith('.$cmd') || !['ismaster', 'isMaster', 'hello'].includes(request.name)) {
    throw new WireError('OP_QUERY is answered for the handshake only');
  }
  return { ...request, sequences: new Map(), requestId, isOneWay: false, isLegacy: true };
}

/** Parses a whole message. Throws WireError, or what the BSON decoder throws, for anything malformed. */
export function parseMessage(message: Buffer): WireRequest {
  const requestId = message.readInt32LE(4);
  const opcode = message.readInt32LE(12);
  if (opcode === OP_MSG) return parseOpMsg(message, requestId);
  if (opcode === OP_QUERY) return parseOpQuery(message, requestId);
  throw new WireError(`opcode ${opcode} is not supported`);
}

/** The answer's frame around BSON bytes. */
export function frameReply(
  request: Pick<WireRequest, 'requestId' | 'isLegacy'>,
  responseId: number,
  body: Uint8Array,
): Buffer[] {
  const head = Buffer.alloc(request.isLegacy ? HEADER_BYTES + 20 : HEADER_BYTES + 5);
  head.writeInt32LE(head.length + body.length, 0);
  head.writeInt32LE(responseId, 4);
  head.writeInt32LE(request.requestId, 8);
  head.writeInt32LE(request.isLegacy ? OP_REPLY : OP_MSG, 12);
  // OP_REPLY: flags, cursor id (8 bytes) and first index are zero, then the number of documents. OP_MSG: flags and section kind are zero.
  if (request.isLegacy) head.writeInt32LE(1, HEADER_BYTES + 16);
  return [head, Buffer.from(body.buffer, body.byteOffset, body.byteLength)];
}
