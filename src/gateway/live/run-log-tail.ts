import { Code, ConnectError } from '@connectrpc/connect';
import { LRUCache } from 'lru-cache';
import type { CallOptions } from '../connections/subsystem-connection.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import type { LogEntry } from '../gen/flowwatch/v1/types_pb.js';
import type { OwnedRun } from '../routing/run-owners.js';

const PAGE = 500;
/** In one look; what follows comes with the next. */
const MOST_PAGES = 20;
const REMEMBERED = 10_000;

/** The log of one run, from where it was last read to its end. */
export class RunLogTail {
  private cursor = '';
  private readonly known = new LRUCache<string, true>({ max: REMEMBERED });

  constructor(private readonly owned: OwnedRun) {}

  /** It came in another way. */
  noteSeen(entry: LogEntry): void {
    this.known.set(keyOf(entry), true);
  }

  /** What was appended since the last look, and was not seen otherwise. Nothing if the subsystem keeps no logs. */
  async look(options: CallOptions): Promise<readonly LogEntry[]> {
    const found: LogEntry[] = [];
    for (let pages = 0; pages < MOST_PAGES; pages += 1) {
      const { logs, next } = await this.read(options);
      found.push(...logs.filter((entry) => !this.known.has(keyOf(entry))));
      for (const entry of logs) this.noteSeen(entry);
      // The last page is read again: it may not be full yet.
      if (next === '' || next === this.cursor) break;
      this.cursor = next;
    }
    return found;
  }

  private async read(options: CallOptions): Promise<{ readonly logs: readonly LogEntry[]; readonly next: string }> {
    const { subsystem, runId } = this.owned;
    const request = { runId, pagination: { cursor: this.cursor, limit: PAGE } };
    try {
      const { logs, pagination } = await subsystem.connection.read(RunService.method.getRunLogs, request, options);
      return { logs, next: pagination?.nextCursor ?? '' };
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unimplemented) return { logs: [], next: '' };
      throw error;
    }
  }
}

function keyOf({ stepName, lineNumber, timestamp, message }: LogEntry): string {
  return JSON.stringify([stepName, String(lineNumber), String(timestamp?.seconds), timestamp?.nanos, message]);
}
