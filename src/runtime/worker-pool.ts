/**
 * Runs `work` over `items` with at most `size` in flight. Stops taking items once `signal` aborts.
 * Resolves when the last one has ended; `work` handles its own errors, a rejection ends the pool with it.
 */
export async function runPool<T>(
  items: Iterable<T>,
  size: number,
  work: (item: T) => Promise<void>,
  signal?: AbortSignal,
): Promise<void> {
  const iterator = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done && !signal?.aborted; next = iterator.next()) {
      await work(next.value);
    }
  };
  await Promise.all(Array.from({ length: size }, worker));
}
