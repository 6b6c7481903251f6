import type { Cursors } from '../cursors.js';
import type { Doc } from '../query/bson-types.js';
import type { Database } from '../storage/database.js';
import type { Deadline, ExecutionStats } from '../storage/scan.js';

export interface CommandRequest {
  readonly name: string;
  /** `$db`. */
  readonly database: string;
  readonly body: Doc;
  /** Document lists that came beside the body (OP_MSG section kind 1), or taken out of it, as BSON bytes. */
  readonly sequences: ReadonlyMap<string, readonly Uint8Array[]>;
}

/** What a command works with. */
export interface CommandContext {
  readonly database: Database;
  readonly cursors: Cursors;
  readonly stats: ExecutionStats;
  readonly limits: Deadline;
  /** Wall-clock time of the command: `$$NOW`, `$currentDate`, `localTime`. */
  readonly now: Date;
}

/** The answer: a document, to which `ok: 1` is added, or finished BSON bytes. */
export type CommandReply = Doc | Uint8Array;

export interface Command {
  /** Whether it may change the file, and so needs the transaction. */
  readonly writes: boolean;
  readonly run: (request: CommandRequest, context: CommandContext) => CommandReply;
}
