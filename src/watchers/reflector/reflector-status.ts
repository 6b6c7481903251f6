import type { Freshness } from '../resource.js';

export type ReflectorState = 'listing' | 'watching' | 'waiting' | 'forbidden' | 'unauthorized' | 'stopped';

export interface WatchProblem {
  readonly verb: 'list' | 'watch';
  readonly resource: string;
  readonly namespace: string | null;
  readonly message: string;
}

/** What a reflector tells of itself. */
export interface ReflectorStatus {
  readonly state: ReflectorState;
  readonly freshness: Freshness;
  /** Epoch milliseconds of the last list, event or bookmark. */
  readonly lastEventAt: number | null;
  /** Lists and watches that had to be begun again after a failure. */
  readonly restarts: number;
  readonly error: WatchProblem | null;
}
