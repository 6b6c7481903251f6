import { randomBytes } from 'node:crypto';
import { CommandError } from './command-error.js';
import type { CommandContext, CommandRequest } from './commands/command.js';
import { COMMANDS } from './commands/registry.js';
import { Cursors } from './cursors.js';
import { asInteger, encode } from './query/bson-types.js';
import { Database } from './storage/database.js';
import { type ExecutionStats, NO_DEADLINE, deadline } from './storage/scan.js';
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

  constructor(path: string, clock: EngineClock, log: Log) {
    this.database = new Database(path);
    this.clock = clock;
    this.log = log;
    this.cursors = new Cursors(
      () => clock.monotonic(),
      () => randomBytes(8).readBigInt64LE() & 0x7fffffffffffffffn,
    );
  }

  writes(request: CommandRequest): boolean {
    return COMMANDS.get(request.name)?.writes ?? false;
  }

  /** BSON bytes of the answer. Throws CommandError for what the client did wrong, anything else is a fault of the store. */
  execute(request: CommandRequest): Uint8Array {
    const command = COMMANDS.get(request.name);
    if (!command) throw new CommandError(59, `no such command: '${request.name}'`);
    if ('startTransaction' in request.body || 'txnNumber' in request.body) {
      throw new CommandError(20, 'transaction numbers are only allowed on a replica set member or mongos');
    }
    this.stats = { keysExamined: 0, docsExamined: 0 };
    const maxTimeMs = asInteger(request.body.maxTimeMS) ?? 0;
    const context: CommandContext = {
      database: this.database,
      cursors: this.cursors,
      stats: this.stats,
      limits: maxTimeMs > 0 ? deadline(maxTimeMs, () => this.clock.monotonic()) : NO_DEADLINE,
      now: new Date(this.clock.now()),
    };
    const reply = command.run(request, context);
    return reply instanceof Uint8Array ? reply : encode({ ...reply, ok: 1 });
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
