import { monitorEventLoopDelay } from 'node:perf_hooks';
import { type JobQueue, agentOf } from './job-queue.ts';

export interface Disturbance<T> {
  readonly result: T;
  readonly tookMs: number;
  /** p99 of the event loop's delay while it ran, in ms. */
  readonly loop: number;
  /** Times of claims, in ms: for some seconds before and after it, and while it ran. */
  readonly before: readonly number[];
  readonly during: readonly number[];
}

const UNDISTURBED_MS = 2_000;
const BETWEEN_CLAIMS_MS = 2;

/** What some work in the background does to claims of one job each. */
export async function disturbanceOf<T>(queue: JobQueue, work: () => Promise<T>): Promise<Disturbance<T>> {
  const before = await claimsWhile(queue, () => pause(UNDISTURBED_MS));
  const delay = monitorEventLoopDelay({ resolution: 1 });
  delay.enable();
  const during = await claimsWhile(queue, work);
  delay.disable();
  // On both sides, because the machine is not the same all the time.
  const after = await claimsWhile(queue, () => pause(UNDISTURBED_MS));
  const { result, tookMs, times } = during;
  return { result, tookMs, loop: delay.percentile(99) / 1e6, before: [...before.times, ...after.times], during: times };
}

async function claimsWhile<T>(
  queue: JobQueue,
  work: () => Promise<T>,
): Promise<{ result: T; tookMs: number; times: number[] }> {
  const times: number[] = [];
  let isOver = false;
  const claims = (async () => {
    while (!isOver) {
      const start = performance.now();
      const [job] = await queue.claim(agentOf(5_000), 1);
      times.push(performance.now() - start);
      if (!job) throw new Error('the queue is empty');
      await pause(BETWEEN_CLAIMS_MS);
    }
  })();
  const start = performance.now();
  const result = await work().finally(() => (isOver = true));
  const tookMs = performance.now() - start;
  await claims;
  return { result, tookMs, times };
}

const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
