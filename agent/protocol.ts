// What an agent and the platform tell each other; README.md has it in words and as curl lines. Times are durations: the
// two clocks need not agree.

/** The longest that a claim may wait. */
export const MAX_WAIT_MS = 30_000;
/** Characters of the message of a failure. */
export const MAX_FAILURE_MESSAGE = 8_192;
/** Characters of the message of a progress. */
export const MAX_PROGRESS_MESSAGE = 1_024;

export interface Lease {
  /** Proves, with every report, that the job is still this agent's. */
  readonly token: string;
  /** From the answer of the platform on. */
  readonly expiresInMs: number;
}

export interface ClaimedJob {
  readonly id: string;
  readonly tenantId: string;
  readonly type: string;
  readonly payload: unknown;
  /** From 1. */
  readonly attempt: number;
  readonly timeoutMs: number | null;
  readonly lease: Lease;
}

export interface StartedJob {
  readonly cancelRequested: boolean;
  /** Renewed by the start. */
  readonly lease: { readonly expiresInMs: number };
}

export interface ClaimRequest {
  /** New for each claim; the same again when the answer was lost, which gets the same jobs. */
  readonly claimId: string;
  readonly capacity: number;
  readonly waitMs: number;
  readonly labels?: Readonly<Record<string, string>>;
}

export interface JobProgress {
  readonly percent: number;
  readonly message?: string;
}

export interface HeartbeatEntry {
  readonly id: string;
  readonly token: string;
  readonly progress?: JobProgress;
}

export interface HeartbeatAnswer {
  readonly renewed: ReadonlyArray<{ readonly id: string; readonly expiresInMs: number }>;
  /** Not this agent's any more: the work is dropped, nothing is reported. */
  readonly lost: readonly string[];
  /** To be stopped; `fail` tells when that is done. */
  readonly cancel: readonly string[];
  readonly nextBeatMs: number;
}

export interface JobFailure {
  readonly code: string | null;
  readonly message: string;
  readonly detail?: unknown;
}

export interface Registration {
  readonly token: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly version: string;
  /** The same again when the answer was lost, which spends the token once. */
  readonly requestId: string;
}

export interface RegisteredAgent {
  readonly id: string;
  /** Shown once: keep it. */
  readonly credential: string;
}
