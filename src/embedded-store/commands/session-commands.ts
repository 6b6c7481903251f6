import { Int32 } from 'bson';
import { CommandError } from '../command-error.js';
import { type Doc, MAX_DOCUMENT_BYTES } from '../query/bson-types.js';
import { MAX_MESSAGE_BYTES } from '../wire/op-msg.js';
import type { Command, CommandContext, CommandRequest } from './command.js';

/** What the answers here are modelled on: wire version 21 is MongoDB 7.0. */
const SERVER_VERSION = '7.0.0';
const MAX_WIRE_VERSION = 21;

/** A standalone without sessions: no `logicalSessionTimeoutMinutes`, so that drivers send no sessions, transactions or retryable writes. */
function hello(request: CommandRequest, context: CommandContext): Doc {
  return {
    helloOk: true,
    ...(request.name === 'hello' ? { isWritablePrimary: true } : { ismaster: true }),
    maxBsonObjectSize: new Int32(MAX_DOCUMENT_BYTES),
    maxMessageSizeBytes: new Int32(MAX_MESSAGE_BYTES),
    maxWriteBatchSize: new Int32(100_000),
    localTime: context.now,
    minWireVersion: new Int32(0),
    maxWireVersion: new Int32(MAX_WIRE_VERSION),
    readOnly: false,
  };
}

function buildInfo(): Doc {
  return {
    version: SERVER_VERSION,
    versionArray: SERVER_VERSION.split('.').map((part) => new Int32(Number(part))),
    bits: new Int32(64),
    debug: false,
    maxBsonObjectSize: new Int32(MAX_DOCUMENT_BYTES),
    modules: ['crowsnest-embedded-store'],
  };
}

function getParameter(request: CommandRequest): Doc {
  if (!('featureCompatibilityVersion' in request.body)) throw new CommandError(72, 'no option found to get');
  return { featureCompatibilityVersion: { version: SERVER_VERSION.slice(0, 3) } };
}

const read = (run: (request: CommandRequest, context: CommandContext) => Doc): Command => ({ writes: false, run });

export const SESSION_COMMANDS: Readonly<Record<string, Command>> = {
  hello: read(hello),
  isMaster: read(hello),
  ismaster: read(hello),
  ping: read(() => ({})),
  buildInfo: read(buildInfo),
  buildinfo: read(buildInfo),
  endSessions: read(() => ({})),
  getParameter: read(getParameter),
};
