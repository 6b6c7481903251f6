import { parentPort, workerData } from 'node:worker_threads';
import { SystemClock, type Timer } from '../runtime/clock.js';
import { Engine, type Log } from './engine.js';
import { GroupCommit } from './storage/group-commit.js';
import { WireServer } from './wire/server.js';
import type { FromWorker, ToWorker, WorkerOptions } from './worker-messages.js';

/** Documents that one sweep step removes before other work gets its turn. */
const SWEEP_STEP = 500;
/** Repeated complaints about malformed messages tell nothing new. */
const MAX_MALFORMED_LOGS = 20;

/** The store's thread: socket in, storage out. Ends when its parent says stop. */
async function run(port: NonNullable<typeof parentPort>, options: WorkerOptions): Promise<void> {
  const post = (message: FromWorker): void => port.postMessage(message);
  const log: Log = (line) => post({ type: 'log', line });
  const clock = new SystemClock();
  const engine = new Engine(options.databasePath, clock, log);
  const commits = new GroupCommit(engine.database);
  let malformed = 0;
  const server = new WireServer(
    clock,
    (request, done) =>
      commits.submit({
        writes: engine.writes(request),
        run: engine.prepare(request),
        fail: (error) => engine.failure(error, request.name),
        done,
      }),
    (error) => {
      if (++malformed > MAX_MALFORMED_LOGS) return;
      log({
        level: 'warn',
        message: 'a malformed message ended a connection to the embedded store',
        reason: String(error),
      });
    },
  );

  let sweep: Timer;
  const sweepAfter = (delayMs: number): void => {
    sweep = clock.after(delayMs, () => {
      let removed = 0;
      commits.submit({
        writes: true,
        run: () => {
          removed = engine.expire(SWEEP_STEP);
          return new Uint8Array();
        },
        fail: (error) => engine.failure(error, 'TTL sweep'),
        done: () => sweepAfter(removed === SWEEP_STEP ? 0 : options.ttlSweepMs),
      });
    });
  };

  port.on('message', (message: ToWorker) => {
    if (message.type !== 'stop') return;
    commits.drain();
    void server.close().then(() => {
      commits.drain();
      sweep.cancel();
      engine.close();
      port.close();
    });
  });
  await server.listen(options.socketPath);
  sweepAfter(options.ttlSweepMs);
  post({ type: 'ready' });
}

if (parentPort) {
  const port = parentPort;
  run(port, workerData as WorkerOptions).catch((error: unknown) => {
    const message = error instanceof Error ? error.message : String(error);
    port.postMessage({ type: 'failed', message } satisfies FromWorker);
    port.close();
  });
}
