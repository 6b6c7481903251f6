/**
 * In the order of starting; stopping goes the other way.
 *
 * Stopping: watchers release their API servers before anything that they feed goes; the executor ends between two
 * nodes while it can still write; streams say goodbye while the HTTP server still carries them; the HTTP server goes
 * before the data that its last requests need; the store is last, because everything writes to it.
 */
export const PHASES = ['store', 'database', 'recovery', 'http', 'streams', 'monitors', 'executor', 'watchers'] as const;

export type Phase = (typeof PHASES)[number];

/** Share of the shutdown deadline that a phase may use at most; time that one leaves goes to the next. */
export const PHASE_SHARE: Readonly<Record<Phase, number>> = {
  watchers: 0.2,
  executor: 0.3,
  monitors: 0.1,
  streams: 0.2,
  http: 0.1,
  recovery: 0,
  database: 0.05,
  store: 0.05,
};
