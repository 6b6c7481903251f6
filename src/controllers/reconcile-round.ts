import { type HeldLease, LeaseLost } from '../leader-election/index.js';
import type { Clock, Timer } from '../runtime/clock.js';
import { isStop } from '../runtime/stop-reason.js';
import type { ReconcileResult, Reconciler } from './reconciler.js';

/** The round was aborted because its time was over. */
export class ReconcileTimeout extends Error {
  constructor(timeoutMs: number) {
    super(`the round did not end within ${timeoutMs} ms`);
    this.name = 'ReconcileTimeout';
  }
}

/** What a shutdown without time leaves a round to notice its abort. */
const CUT_GRACE_MS = 100;

export type RoundOutcome = (
  | { readonly kind: 'success'; readonly result: ReconcileResult }
  | { readonly kind: 'failure'; readonly error: unknown }
  /** Cut short by a lost lease or a shutdown: neither a success nor a failure. */
  | { readonly kind: 'cut' }
) & {
  readonly durationMs: number;
  /** Present if it ignores its abort: resolves when it ends at last. */
  readonly hanging?: Promise<void>;
};

export interface RoundOptions {
  readonly timeoutMs: number;
  /** How long it may take to end after its abort. */
  readonly graceMs: number;
  /** Aborts with a StopReason when a shutdown has no time left. */
  readonly cut: AbortSignal;
  readonly clock: Clock;
}

export function timeoutOf({ periodMs, timeoutMs = Math.min(periodMs, 60_000) }: Reconciler): number {
  return timeoutMs;
}

/** One round. Whatever the reconciler does - throw, reject, answer nonsense, hang - it resolves, at the latest a grace after its timeout. */
export async function runRound(
  reconciler: Reconciler,
  lease: HeldLease,
  { timeoutMs, graceMs, cut, clock }: RoundOptions,
): Promise<RoundOutcome> {
  const begun = clock.monotonic();
  const timeout = new AbortController();
  const timer = clock.after(timeoutMs, () => timeout.abort(new ReconcileTimeout(timeoutMs)));
  const signal = AbortSignal.any([timeout.signal, lease.signal, cut]);

  let outcome: Pick<RoundOutcome, 'kind'> & { result?: ReconcileResult; error?: unknown } = { kind: 'cut' };
  const work = Promise.resolve()
    .then(() => reconciler.reconcile(signal, lease))
    .then((result) => void (outcome = { kind: 'success', result: checked(result) }))
    .catch((error: unknown) => void (outcome = { kind: 'failure', error }));
  const isOver = await overOrAborted(work, signal, { graceMs, cut, clock });
  timer.cancel();

  const durationMs = Math.round(clock.monotonic() - begun);
  const hanging = isOver ? {} : { hanging: work };
  // Once aborted, what it answers says nothing: it may have done half of its work and told so or not.
  if (signal.aborted) {
    const error: unknown = signal.reason;
    const isCut = error instanceof LeaseLost || isStop(error);
    return isCut ? { kind: 'cut', durationMs, ...hanging } : { kind: 'failure', error, durationMs, ...hanging };
  }
  return { ...outcome, durationMs } as RoundOutcome;
}

/** Whether the work ended; false if it did not in the time that it had after its abort. */
function overOrAborted(
  work: Promise<void>,
  signal: AbortSignal,
  { graceMs, cut, clock }: Pick<RoundOptions, 'graceMs' | 'cut' | 'clock'>,
): Promise<boolean> {
  return new Promise((resolve) => {
    const timers: Timer[] = [];
    const end = (isOver: boolean): void => {
      signal.removeEventListener('abort', onAbort);
      cut.removeEventListener('abort', onCut);
      for (const timer of timers) timer.cancel();
      resolve(isOver);
    };
    const giveUpAfter = (ms: number): void => void timers.push(clock.after(ms, () => end(false)));
    const onAbort = (): void => giveUpAfter(graceMs);
    const onCut = (): void => giveUpAfter(Math.min(graceMs, CUT_GRACE_MS));
    signal.addEventListener('abort', onAbort, { once: true });
    cut.addEventListener('abort', onCut, { once: true });
    if (signal.aborted) onAbort();
    if (cut.aborted) onCut();
    void work.then(() => end(true));
  });
}

function checked(result: ReconcileResult): ReconcileResult {
  if (!Number.isFinite(result?.processed) || !Number.isFinite(result?.changed)) {
    throw new TypeError('the round did not say how many items it has processed and changed');
  }
  return result;
}
