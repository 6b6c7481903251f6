import { LRUCache } from 'lru-cache';
import type { LiveRun } from './live-run.js';

/** Runs of one subsystem whose last state is kept; of more the ones that changed longest ago are forgotten. */
export const MAX_STATES = 10_000;
const MAX_STATE_BYTES = 32 * 1024 * 1024;
/** What an entry costs beside the bytes of its run. */
const ENTRY_BYTES = 256;

export interface RunState {
  readonly run: LiveRun;
  /** The session of the upstream that told it last. */
  readonly session: number;
}

/** The last state of each run of one subsystem, as far as it is remembered. */
export class RunStates {
  private readonly states = new LRUCache<string, RunState>({
    max: MAX_STATES,
    maxSize: MAX_STATE_BYTES,
    sizeCalculation: ({ run }) => run.bytes.length + ENTRY_BYTES,
  });

  get(runId: string): RunState | undefined {
    return this.states.get(runId);
  }

  keep(run: LiveRun, session: number): void {
    this.states.set(run.id, { run, session });
  }

  /** The one that changed longest ago first. */
  all(): readonly LiveRun[] {
    return [...this.states.rvalues()].flatMap((state) => state?.run ?? []);
  }
}
