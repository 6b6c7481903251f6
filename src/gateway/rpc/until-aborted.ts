import { abortable } from '../../runtime/abortable.js';

/** What the source yields, until the signal aborts; throws its reason then, without waiting for the source. */
export async function* untilAborted<T>(source: AsyncIterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  const iterator = source[Symbol.asyncIterator]();
  try {
    for (;;) {
      const next = await abortable(iterator.next(), signal);
      if (next.done === true) return;
      yield next.value;
    }
  } finally {
    // Not awaited: it may be waiting for what never comes.
    void iterator.return?.().catch(() => undefined);
  }
}
