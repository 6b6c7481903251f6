import type { Cursors } from '../cursors.js';
import type { Doc } from '../query/bson-types.js';
import type { Database } from '../storage/database.js';
import type { Limits } from '../storage/limits.js';
import type { ExecutionStats } from '../storage/scan.js';

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
  readonly limits: Limits;
  /** Wall-clock time of the command: `$$NOW`, `$currentDate`, `localTime`. */
  readonly now: Date;
}

/** The answer: a document, to which `ok: 1` is added, or finished BSON bytes. */
export type CommandReply = Doc | Uint8Array;

/**
 * Work that can pause: it yields when the slice is over and what it has done is whole. That is committed, others work, and it goes on in a
 * later turn, when nothing it read before is certain any more.
 */
export type Steps<T> = Generator<undefined, T, void>;

export type Command =
  | {
      /** Whether it may change the file, and so needs the transaction. */
      readonly writes: boolean;
      readonly run: (request: CommandRequest, context: CommandContext) => CommandReply;
    }
  | {
      readonly writes: true;
      /** As MongoDB's writes of many documents, not atomic: others may see and change what lies between two steps. */
      readonly steps: (request: CommandRequest, context: CommandContext) => Steps<CommandReply>;
    };
