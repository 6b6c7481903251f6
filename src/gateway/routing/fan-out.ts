import { Code, ConnectError } from '@connectrpc/connect';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { FailureReason, SubsystemFailure } from './answer.js';

export interface FanOut<T> {
  /** In the order of the subsystems asked. */
  readonly answers: readonly { readonly subsystem: Subsystem; readonly answer: T }[];
  readonly failures: readonly SubsystemFailure[];
}

/**
 * Asks all of them at once. Only for reads: a mutation goes to the one that owns what it changes.
 * Those that are not connected are named among the failures and not asked.
 *
 * @throws ConnectError of the caller's abort; if there were any and all failed, `invalid_argument` as the first says it
 *   that found the request bad, `unimplemented` if none offers it, else `unavailable` naming the subsystems.
 */
export async function fanOut<T>(
  subsystems: readonly Subsystem[],
  ask: (subsystem: Subsystem) => Promise<T>,
  signal?: AbortSignal,
): Promise<FanOut<T>> {
  const outcomes = await Promise.all(subsystems.map((subsystem) => outcomeOf(subsystem, ask)));
  if (signal?.aborted) throw ConnectError.from(signal.reason, Code.Canceled);
  const answers = outcomes.flatMap((outcome) => ('answer' in outcome ? [outcome] : []));
  const failed = outcomes.flatMap((outcome) => ('failure' in outcome ? [outcome] : []));
  const failures = failed.map(({ failure }) => failure);
  if (answers.length === 0 && failures.length > 0) {
    throw failed.find(({ error }) => error?.code === Code.InvalidArgument)?.error ?? allFailed(failures);
  }
  return { answers, failures };
}

async function outcomeOf<T>(
  subsystem: Subsystem,
  ask: (subsystem: Subsystem) => Promise<T>,
): Promise<{ subsystem: Subsystem; answer: T } | { failure: SubsystemFailure; error?: ConnectError }> {
  const { id: subsystemId, state } = subsystem;
  if (state !== 'connected') return { failure: { subsystemId, reason: state } };
  try {
    return { subsystem, answer: await ask(subsystem) };
  } catch (error) {
    return { failure: { subsystemId, reason: failureReason(error) }, error: ConnectError.from(error) };
  }
}

export function failureReason(error: unknown): FailureReason {
  const { code } = ConnectError.from(error);
  if (code === Code.DeadlineExceeded) return 'timeout';
  if (code === Code.Unavailable) return 'unreachable';
  if (code === Code.ResourceExhausted) return 'oversized';
  return code === Code.Unimplemented ? 'unimplemented' : 'failed';
}

export function allFailed(failures: readonly SubsystemFailure[]): ConnectError {
  const named = failures.map(({ subsystemId, reason }) => `${subsystemId} (${reason})`).join(', ');
  if (failures.every(({ reason }) => reason === 'unimplemented')) {
    return new ConnectError(`no subsystem offers this: ${named}`, Code.Unimplemented);
  }
  return new ConnectError(`no subsystem answered: ${named}`, Code.Unavailable);
}
