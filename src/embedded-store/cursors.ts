import { CommandError } from './command-error.js';
import type { RowSource } from './query/find.js';
import type { ScanRow } from './storage/scan.js';

export interface Cursor {
  readonly id: bigint;
  readonly ns: string;
  readonly source: RowSource;
  /** What a row is sent as. */
  readonly output: (row: ScanRow) => Uint8Array;
}

/** More open cursors than these close the one that was idle longest: its owner gets CursorNotFound, as after the idle time. */
const MAX_CURSORS = 256;
/** MongoDB's default idle time of a cursor. */
const IDLE_MS = 10 * 60 * 1000;

/** Open cursors, in the order of their last use. */
export class Cursors {
  private readonly open = new Map<bigint, { cursor: Cursor; usedAt: number }>();
  private readonly monotonic: () => number;
  private readonly drawId: () => bigint;

  constructor(monotonic: () => number, drawId: () => bigint) {
    this.monotonic = monotonic;
    this.drawId = drawId;
  }

  get size(): number {
    return this.open.size;
  }

  add(cursor: Omit<Cursor, 'id'>): bigint {
    this.closeIdle();
    let id = this.drawId();
    while (id === 0n || this.open.has(id)) id = this.drawId();
    const [oldest] = this.open.keys();
    if (this.open.size >= MAX_CURSORS && oldest !== undefined) this.open.delete(oldest);
    this.open.set(id, { cursor: { ...cursor, id }, usedAt: this.monotonic() });
    return id;
  }

  /** Throws CursorNotFound (43). */
  get(id: bigint, ns: string): Cursor {
    this.closeIdle();
    const entry = this.open.get(id);
    if (!entry || entry.cursor.ns !== ns) throw new CommandError(43, `cursor id ${id} not found`);
    this.open.delete(id);
    this.open.set(id, { cursor: entry.cursor, usedAt: this.monotonic() });
    return entry.cursor;
  }

  close(id: bigint, ns: string): boolean {
    return this.open.get(id)?.cursor.ns === ns && this.open.delete(id);
  }

  /** A dropped collection's cursors end. */
  closeAll(ns: string): void {
    for (const [id, { cursor }] of this.open) if (cursor.ns === ns) this.open.delete(id);
  }

  private closeIdle(): void {
    const limit = this.monotonic() - IDLE_MS;
    for (const [id, { usedAt }] of this.open) {
      if (usedAt > limit) return;
      this.open.delete(id);
    }
  }
}
