import { Code, ConnectError } from '@connectrpc/connect';
import { isCircleRefusal } from '../connections/gateway-circle.js';
import type { FanOutTurn } from '../connections/timeout-breaker.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { SubsystemFailure } from './answer.js';
import type { Caller } from './caller.js';
import { failureReason } from './failure-reason.js';

export interface FanOut<T> {
  /** In the order of the subsystems asked. */
  readonly answers: readonly { readonly subsystem: Subsystem; readonly answer: T }[];
  readonly failures: readonly SubsystemFailure[];
}

/** Asks one of them, in the name of the caller that is given: its time is what all that is asked of this one may take. */
export type Ask<T> = (subsystem: Subsystem, asking: Caller) => Promise<T>;

/** What came of asking one. `isCircle`: it is a gateway that asks us, and has nothing that we are not asked for already. */
export type Outcome<T> =
  | { readonly subsystem: Subsystem; readonly answer: T }
  | { readonly subsystem: Subsystem; readonly isCircle: true }
  | { readonly failure: SubsystemFailure; readonly error?: ConnectError };

/** One of a fan-out. */
interface Part<T> {
  readonly subsystem: Subsystem;
  readonly outcome: Promise<Outcome<T>>;
  /** Nobody is to wait for it longer than for the others. */
  readonly isProbe: boolean;
}

/**
 * Asks all of them at once. Only for reads: a mutation goes to the one that owns what it changes.
 * Those that are not connected, and those that have let call after call time out, are named among the failures and not
 * asked. A gateway that the question came through is neither among the answers nor among the failures.
 *
 * @throws ConnectError of the caller's abort; if there were any and all failed, `invalid_argument` as the first says it
 *   that found the request bad, `unimplemented` if none offers it, else `unavailable` naming the subsystems.
 */
export async function fanOut<T>(caller: Caller, subsystems: readonly Subsystem[], ask: Ask<T>): Promise<FanOut<T>> {
  const outcomes = await outcomesOf(caller, subsystems, ask);
  const answers = outcomes.flatMap((outcome) => ('answer' in outcome ? [outcome] : []));
  const failed = outcomes.flatMap((outcome) => ('failure' in outcome ? [outcome] : []));
  const failures = failed.map(({ failure }) => failure);
  if (answers.length === 0 && failures.length > 0) {
    throw failed.find(({ error }) => error?.code === Code.InvalidArgument)?.error ?? allFailed(failures);
  }
  return { answers, failures };
}

/** As `fanOut`, and no error that all failed. In the order of the subsystems. @throws ConnectError of the caller's abort. */
export async function outcomesOf<T>(
  caller: Caller,
  subsystems: readonly Subsystem[],
  ask: Ask<T>,
): Promise<readonly Outcome<T>[]> {
  const parts = subsystems.map((subsystem) => partOf(caller, subsystem, ask));
  const probes = parts.filter(({ isProbe }) => isProbe).length;
  const outcomes = await Promise.all(probes === 0 ? parts.map(({ outcome }) => outcome) : withoutDelay(parts));
  if (caller.signal.aborted) throw ConnectError.from(caller.signal.reason, Code.Canceled);
  return outcomes;
}

/** Asks one where it has its turn among many, one after the other: for a probe nobody waits. */
export function outcomeOf<T>(caller: Caller, subsystem: Subsystem, ask: Ask<T>): Promise<Outcome<T>> {
  const { outcome, isProbe } = partOf(caller, subsystem, ask);
  return isProbe ? Promise.resolve(tooLate(subsystem)) : outcome;
}

/** A turn at a subsystem in a fan-out, if it is connected and has not let call after call time out. */
export function turnAt({ id: subsystemId, state, connection }: Subsystem): FanOutTurn | SubsystemFailure {
  if (state !== 'connected') return { subsystemId, reason: state };
  return connection.timeouts.begin() ?? { subsystemId, reason: 'timeout' };
}

function partOf<T>(caller: Caller, subsystem: Subsystem, ask: Ask<T>): Part<T> {
  const turn = turnAt(subsystem);
  if ('reason' in turn) return { subsystem, outcome: Promise.resolve({ failure: turn }), isProbe: false };
  return { subsystem, outcome: askInTurn(caller, subsystem, ask, turn), isProbe: turn.isProbe };
}

async function askInTurn<T>(caller: Caller, subsystem: Subsystem, ask: Ask<T>, turn: FanOutTurn): Promise<Outcome<T>> {
  try {
    const answer = await ask(subsystem, new TurnCaller(caller, turn));
    turn.ended();
    return { subsystem, answer };
  } catch (error) {
    turn.ended(error);
    return outcomeOfError(subsystem, error);
  }
}

/** Of an error that asking one ended with. */
export function outcomeOfError(subsystem: Subsystem, error: unknown): Outcome<never> {
  if (isCircleRefusal(error)) return { subsystem, isCircle: true };
  const failure = { subsystemId: subsystem.id, reason: failureReason(error) };
  return { failure, error: ConnectError.from(error) };
}

function withoutDelay<T>(parts: readonly Part<T>[]): Array<Promise<Outcome<T>>> {
  const others = Promise.all(parts.filter(({ isProbe }) => !isProbe).map(({ outcome }) => outcome));
  return parts.map(({ subsystem, outcome, isProbe }) =>
    isProbe ? Promise.race([outcome, others.then(() => tooLate(subsystem))]) : outcome,
  );
}

function tooLate({ id }: Subsystem): { readonly failure: SubsystemFailure } {
  return { failure: { subsystemId: id, reason: 'timeout' } };
}

const never = new AbortController().signal;

/** The caller with the time that is left, asked anew at each call. A probe outlives it, to find out what comes of it. */
class TurnCaller implements Caller {
  readonly principal: Caller['principal'];
  readonly signal: AbortSignal;
  readonly gatewayPath: string | undefined;
  readonly idempotencyKey: string | undefined;

  constructor(
    private readonly caller: Caller,
    private readonly turn: FanOutTurn,
  ) {
    this.principal = caller.principal;
    this.signal = turn.isProbe ? never : caller.signal;
    this.gatewayPath = caller.gatewayPath;
    this.idempotencyKey = caller.idempotencyKey;
  }

  get timeoutMs(): number {
    const { leftMs, isProbe } = this.turn;
    return isProbe ? leftMs : Math.min(leftMs, this.caller.timeoutMs ?? leftMs);
  }
}

export function allFailed(failures: readonly SubsystemFailure[]): ConnectError {
  const named = failures.map(({ subsystemId, reason }) => `${subsystemId} (${reason})`).join(', ');
  if (failures.every(({ reason }) => reason === 'unimplemented')) {
    return new ConnectError(`no subsystem offers this: ${named}`, Code.Unimplemented);
  }
  return new ConnectError(`no subsystem answered: ${named}`, Code.Unavailable);
}
