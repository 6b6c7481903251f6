/** Counted over all streams, also those that have ended. */
export interface StreamTotals {
  events: number;
  bytes: number;
  snapshots: number;
  snapshotsShared: number;
  resumed: number;
  replayed: number;
  lagged: number;
  dropped: number;
  coalesced: number;
  stalled: number;
}

export function noTotals(): StreamTotals {
  return {
    events: 0,
    bytes: 0,
    snapshots: 0,
    snapshotsShared: 0,
    resumed: 0,
    replayed: 0,
    lagged: 0,
    dropped: 0,
    coalesced: 0,
    stalled: 0,
  };
}

export interface StreamStats {
  readonly sessions: number;
  /** Open streams by the prefix of their keys. */
  readonly sessionsByTopic: Readonly<Record<string, number>>;
  /** Streams that something is held back for: they join, or their clients take no more. */
  readonly slowSessions: number;
  readonly published: number;
  readonly queuedBytes: number;
  readonly queuedEvents: number;
  /** What `queuedBytes` may be. */
  readonly budgetBytes: number;
  /** Channels that can be resumed, with readers or without. */
  readonly warmKeys: number;
  readonly replayEvents: number;
  readonly replayBytes: number;
  /** Events that the replay ring let go of for newer ones. */
  readonly replayEvicted: number;
  readonly totals: Readonly<StreamTotals>;
}
