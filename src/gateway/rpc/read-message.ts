import { type DescMessage, type JsonValue, type MessageShape, fromBinary, fromJsonString } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import { type FieldViolation, invalidArgument } from '../input/invalid-argument.js';
import { valueFault, wireFault } from './binary-fault.js';
import { isReadable, jsonFaults, unknownEnumNames } from './json-faults.js';

/** Unknown fields are ignored, so that newer clients can speak to older servers. Not so unknown names of enum values. */
export const JSON_OPTIONS = { ignoreUnknownFields: true };

/** @throws ConnectError `invalid_argument` that names each wrong field where it is known. */
export function readMessage<I extends DescMessage>(desc: I, bytes: Uint8Array, isBinary: boolean): MessageShape<I> {
  return isBinary ? readBinary(desc, bytes) : readJson(desc, bytes);
}

/** @throws ConnectError `invalid_argument` */
export function readBinary<I extends DescMessage>(desc: I, bytes: Uint8Array): MessageShape<I> {
  const fault = wireFault(desc, bytes);
  if (fault) throw refused(desc, [fault]);
  try {
    return fromBinary(desc, bytes);
  } catch {
    // The library's words are for those who develop with it.
    const found = valueFault(desc, bytes);
    throw refused(desc, found ? [found] : []);
  }
}

function readJson<I extends DescMessage>(desc: I, bytes: Uint8Array): MessageShape<I> {
  const text = new TextDecoder().decode(bytes);
  const json = parse(text);
  const names = unknownEnumNames(desc, json);
  if (names.length > 0) throw invalidArgument(...names);
  try {
    return fromJsonString(desc, text, JSON_OPTIONS);
  } catch {
    if (isReadable(desc, json)) throw malformed('an object in the JSON has the same key twice: give each once');
    throw refused(desc, jsonFaults(desc, json));
  }
}

function parse(text: string): JsonValue {
  if (text.trim() === '') throw malformed('the message is empty: send a JSON object, at least {}');
  try {
    return JSON.parse(text) as JsonValue;
  } catch (error) {
    throw malformed(`the message is not valid JSON: ${whereInJson(error instanceof Error ? error.message : '')}`);
  }
}

/** From the words of V8, which tells the place, the token, or that there is no more. */
function whereInJson(message: string): string {
  const at = /at position (\d+)/.exec(message)?.[1];
  if (at !== undefined) return `see character ${Number(at) + 1}`;
  const token = /^Unexpected token '(.)'/su.exec(message)?.[1];
  return token === undefined ? 'it ends too early' : `see the ${JSON.stringify(token)}`;
}

function refused(desc: DescMessage, faults: readonly FieldViolation[]): ConnectError {
  const placed = faults.filter(({ field }) => field !== '');
  if (placed.length > 0) return invalidArgument(...placed);
  return malformed(`the message cannot be read as ${desc.typeName}: it is cut off, or is something else`);
}

function malformed(message: string): ConnectError {
  return new ConnectError(message, Code.InvalidArgument);
}
