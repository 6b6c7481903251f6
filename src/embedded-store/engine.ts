import { randomBytes } from 'node:crypto';
import { CommandError } from './command-error.js';
import type { CommandContext, CommandReply, CommandRequest, Steps } from './commands/command.js';
import { COMMANDS } from './commands/registry.js';
import { Cursors } from './cursors.js';
import { asInteger, encode } from './query/bson-types.js';
import { Database } from './storage/database.js';
import { NO_LIMITS, type Slice, TimeSlice, deadline } from './storage/limits.js';
import type { ExecutionStats } from './storage/scan.js';
import { expireDocuments } from './storage/ttl-sweep.js';

export type Log = (line: { level: 'log' | 'warn' | 'error'; message: string; [key: string]: unknown }) => void;

export interface EngineClock {
  now(): number;
  monotonic(): number;
}

/** Answers commands against one SQLite file. Synchronous; whoever calls it decides about transactions (GroupCommit). */
export class Engine {
  /** Examined by the last command. */
  stats: ExecutionStats = { keysExamined: 0, docsExamined: 0 };
  readonly database: Database;
  private readonly cursors: Cursors;
  private readonly clock: EngineClock;
  private readonly log: Log;
  private readonly slice: Slice;

  constructor(path: string, clock: EngineClock, log: Log, slice: Slice = new TimeSlice(() => clock.monotonic())) {
    this.database = new Database(path);
    this.clock = clock;
    this.log = log;
    this.slice = slice;
    this.cursors = new Cursors(
      () => clock.monotonic(),
      () => randomBytes(8).readBigInt64LE() & 0x7fffffffffffffffn,
    );
  }

  writes(request: CommandRequest): boolean {
    return COMMANDS.get(request.name)?.writes ?? false;
  }

  /**
   * The command as a function: each call does a slice of it and answers undefined while there is more to do, at the end the BSON bytes of
   * the answer. It throws CommandError for what the client did wrong, anything else is a fault of the store; slices done before stay done.
   */
  prepare(request: CommandRequest): () => Uint8Array | undefined {
    const steps = this.steps(request);
    return () => {
      this.slice.begin();
      const { done, value } = steps.next();
      if (done !== true) return undefined;
      return value instanceof Uint8Array ? value : encode({ ...value, ok: 1 });
    };
  }

  private *steps(request: CommandRequest): Steps<CommandReply> {
    const command = COMMANDS.get(request.name);
    if (!command) throw new CommandError(59, `no such command: '${request.name}'`);
    if ('startTransaction' in request.body || 'txnNumber' in request.body) {
      throw new CommandError(20, 'transaction numbers are only allowed on a replica set member or mongos');
    }
    this.stats = { keysExamined: 0, docsExamined: 0 };
    const maxTimeMs = asInteger(request.body.maxTimeMS) ?? 0;
    const canPause = 'steps' in command;
    const context: CommandContext = {
      database: this.database,
      cursors: this.cursors,
      stats: this.stats,
      limits: {
        check: maxTimeMs > 0 ? deadline(maxTimeMs, () => this.clock.monotonic()) : NO_LIMITS.check,
        isSliceOver: canPause ? () => this.slice.isOver() : NO_LIMITS.isSliceOver,
      },
      now: new Date(this.clock.now()),
    };
    return canPause ? yield* command.steps(request, context) : command.run(request, context);
  }

  /** BSON bytes of an error's answer; what is no CommandError is logged in full and told as InternalError. */
  failure(error: unknown, command: string): Uint8Array {
    if (error instanceof CommandError) return errorReply(error);
    this.log({
      level: 'error',
      message: 'the embedded store failed to run a command',
      command,
      error: describe(error),
    });
    return errorReply(new CommandError(1, `the embedded store failed to run '${command}': see the service's log`));
  }

  /** Removes up to `limit` documents whose time has come; how many. */
  expire(limit: number): number {
    return expireDocuments(this.database, this.clock.now(), limit);
  }

  close(): void {
    this.database.close();
  }
}

const describe = (error: unknown): string => (error instanceof Error ? (error.stack ?? error.message) : String(error));

function errorReply(error: CommandError): Uint8Array {
  return encode({ ok: 0, errmsg: error.message, code: error.code, codeName: error.codeName, ...error.details });
}
