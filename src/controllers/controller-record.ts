/** What is stored of a controller, for all replicas. Times are the server's. */
export interface ControllerRecord {
  readonly name: string;
  readonly paused: boolean;
  readonly pausedBy: string | null;
  /** When it was paused or resumed last. */
  readonly pauseChangedAt: Date | null;
  /** How many rounds have been asked for by hand, and up to which of them rounds have been run. */
  readonly requested: number;
  readonly answered: number;
  /** Epoch of the leader whose writes count. */
  readonly epoch: number;
  /** Of the round in progress. */
  readonly startedAt: Date | null;
  readonly lastRunAt: Date | null;
  readonly lastSuccessAt: Date | null;
  readonly durationMs: number | null;
  readonly processed: number | null;
  readonly changed: number | null;
  readonly detail: Readonly<Record<string, number | string>> | null;
  readonly consecutiveErrors: number;
  readonly lastError: string | null;
  readonly lastErrorAt: Date | null;
  readonly nextRunAt: Date | null;
  /** Grows with every stored change. */
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
}

/** How a round went, as it is stored. */
export type RoundResult = {
  readonly durationMs: number;
  /** Milliseconds until the next one. */
  readonly nextInMs: number;
} & (
  | {
      readonly processed: number;
      readonly changed: number;
      readonly detail?: Readonly<Record<string, number | string>>;
    }
  | { readonly error: string }
);
