import { CommandError } from '../command-error.js';

/** What bounds the work of a command: the client's `maxTimeMS`, and the slice after which others get their turn. */
export interface Limits {
  /** Throws MaxTimeMSExpired (50) when the time is over. */
  readonly check: () => void;
  /** Whether the work is to pause as soon as what it has done is whole. */
  readonly isSliceOver: () => boolean;
}

export const NO_LIMITS: Limits = { check: () => undefined, isSliceOver: () => false };

export function deadline(maxTimeMs: number, monotonic: () => number): Limits['check'] {
  const end = monotonic() + maxTimeMs;
  return () => {
    if (monotonic() >= end) throw new CommandError(50, 'operation exceeded time limit');
  };
}

/** A stretch of work between two turns of others. */
export interface Slice {
  begin(): void;
  isOver(): boolean;
}

/** Long enough to be worth its commit, short enough that nobody who waits meanwhile takes the store for dead. */
const SLICE_MS = 15;

export class TimeSlice implements Slice {
  private readonly monotonic: () => number;
  private end = 0;

  constructor(monotonic: () => number) {
    this.monotonic = monotonic;
  }

  begin(): void {
    this.end = this.monotonic() + SLICE_MS;
  }

  isOver(): boolean {
    return this.monotonic() >= this.end;
  }
}
