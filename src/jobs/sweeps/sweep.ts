import { type SweepGuard, mayGoOn } from '../../leader-election/index.js';
import type { Clock } from '../../runtime/clock.js';

/** Documents read at once. */
export const SLICE = 500;
/** Jobs changed by one command: as long as it runs, claims wait. */
export const CHANGED_AT_ONCE = 100;
/** A sweep rests for this many times what its last slice took, so that claims come in between. */
const REST = 1;

/** Repeats, with rests, until a slice was not full. Returns what the slices returned, together. */
export async function inSlices<T>(
  guard: SweepGuard,
  clock: Pick<Clock, 'monotonic' | 'sleep'>,
  slice: () => Promise<{ read: number; changed: T[] }>,
): Promise<T[]> {
  const all: T[] = [];
  for (;;) {
    mayGoOn(guard);
    const begun = clock.monotonic();
    const { read, changed } = await slice();
    all.push(...changed);
    // Nothing changed although there was something to: another was faster, or will be. The next sweep looks again.
    if (read < CHANGED_AT_ONCE || changed.length === 0) return all;
    const restMs = (clock.monotonic() - begun) * REST;
    if (restMs > 0) await clock.sleep(restMs, guard.signal);
  }
}

/** Does each step, whatever becomes of the others, and tells all failures at the end. A lost lead or the signal ends it at once. */
export async function eachStep(guard: SweepGuard, steps: ReadonlyArray<() => Promise<void>>): Promise<void> {
  const failures: unknown[] = [];
  for (const step of steps) {
    mayGoOn(guard);
    try {
      await step();
    } catch (error) {
      mayGoOn(guard);
      failures.push(error);
    }
  }
  if (failures.length === 1) throw failures[0];
  if (failures.length > 1) throw new AggregateError(failures, `${failures.length} steps of the sweep failed`);
}
