import type { HeldLease } from '../leader-election/index.js';

/** Jobs changed by one command: bounds the burst, and lets claims in between. */
export const SLICE = 500;

/** What a sweep is held to: it ends at the signal, and acts only while its process leads. */
export interface SweepGuard {
  readonly signal: AbortSignal;
  readonly lease: Pick<HeldLease, 'assertHeld'>;
}

/** To be called before every command. @throws the signal's reason, LeaseLost. */
export function mayGoOn({ signal, lease }: SweepGuard): void {
  signal.throwIfAborted();
  lease.assertHeld();
}

/** Repeats until a slice was not full. Returns what the slices returned, together. */
export async function inSlices<T>(
  guard: SweepGuard,
  slice: () => Promise<{ read: number; changed: T[] }>,
): Promise<T[]> {
  const all: T[] = [];
  for (;;) {
    mayGoOn(guard);
    const { read, changed } = await slice();
    all.push(...changed);
    // Nothing changed although there was something to: another was faster, or will be. The next sweep looks again.
    if (read < SLICE || changed.length === 0) return all;
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
