/** What the worker thread is started with. */
export interface WorkerOptions {
  readonly databasePath: string;
  readonly socketPath: string;
  /** Milliseconds between two sweeps of TTL indexes. */
  readonly ttlSweepMs: number;
}

export type ToWorker = { readonly type: 'stop' };

export type FromWorker =
  | { readonly type: 'ready' }
  | { readonly type: 'failed'; readonly message: string }
  | {
      readonly type: 'log';
      readonly line: { level: 'log' | 'warn' | 'error'; message: string; [key: string]: unknown };
    };
