import { Code, ConnectError } from '@connectrpc/connect';
import type { Clock } from '../../runtime/clock.js';
import type { Random } from '../../runtime/random.js';
import { UndecodedGetRunResponseSchema } from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import type { CallOptions } from '../connections/subsystem-connection.js';
import { isCircleRefusal } from '../connections/gateway-circle.js';
import type { FanOutTurn } from '../connections/timeout-breaker.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { SubsystemFailure } from './answer.js';
import { failureReason } from './failure-reason.js';
import { turnAt } from './fan-out.js';
import { readTextField } from './read-text-field.js';

/** GetRun, its run left as bytes. */
export const GET_RUN_UNDECODED = { ...RunService.method.getRun, output: UndecodedGetRunResponseSchema };

const RUN_ID = 1;

/** How long the others may still take once one has said that it has the run, when that is enough for the asker. */
const LATECOMERS_MS = 1_000;

export interface LookUpTools {
  readonly clock: Clock;
  readonly random: Pick<Random, 'uuid'>;
}

export interface LookedUp {
  readonly owners: readonly Subsystem[];
  /** They said that they do not have it. */
  readonly absent: readonly Subsystem[];
  readonly failures: readonly SubsystemFailure[];
}

/**
 * A look-up under way: all are asked once for a run, however many wait for what they say. Mutations wait for `complete`,
 * reads for `soon`; when either is needed, see `RunOwners`.
 *
 * A subsystem has the run if it answers with one of the very id that was asked for. If several do, they are asked for a
 * run that nobody can have, of an id made up for that: one that has it too, claims whatever it is asked for, and counts as
 * one that has nothing. What claims just the runs of another cannot be known from one that has the same.
 */
export class RunLookup {
  /** When all have answered, or have failed to. */
  readonly complete: Promise<void>;
  /** The same, but no later than a second after the first that has it. */
  readonly soon: Promise<void>;
  private owners: Subsystem[] = [];
  private readonly absent: Subsystem[] = [];
  private readonly failures: SubsystemFailure[] = [];
  private readonly pending: Set<Subsystem>;
  private readonly firstOwner = Promise.withResolvers<void>();
  private readonly cut = new AbortController();

  constructor(
    subsystems: readonly Subsystem[],
    private readonly runId: string,
    private readonly gatewayPath: string | undefined,
    { clock, random }: LookUpTools,
  ) {
    this.pending = new Set(subsystems);
    this.complete = Promise.all(subsystems.map((subsystem) => this.ask(subsystem))).then(() =>
      this.leaveOutImpostors(random.uuid()),
    );
    const patience = Promise.withResolvers<void>();
    this.soon = Promise.race([this.complete, patience.promise]);
    void this.firstOwner.promise.then(() => {
      const timer = clock.after(this.pending.size > 0 ? LATECOMERS_MS : 0, patience.resolve, { unref: true });
      void this.complete.then(() => timer.cancel());
    });
  }

  /** What is known by now; who has not answered yet counts as too late. */
  get result(): LookedUp {
    const late = [...this.pending].map(({ id }): SubsystemFailure => ({ subsystemId: id, reason: 'timeout' }));
    return { owners: this.owners, absent: this.absent, failures: [...this.failures, ...late] };
  }

  /** Nobody waits for it any more. */
  abandon(): void {
    this.cut.abort(new ConnectError('nobody waits for the answer', Code.Canceled));
  }

  /** One that does not answer this has not been caught: its claim stands. */
  private async leaveOutImpostors(madeUpId: string): Promise<void> {
    if (this.owners.length < 2) return;
    const options = { signal: this.cut.signal, gatewayPath: this.gatewayPath };
    const asked = this.owners.map(async (owner) => {
      if (await hasRun(owner, madeUpId, options).catch(() => false)) this.absent.push(owner);
    });
    await Promise.all(asked);
    this.owners = this.owners.filter((owner) => !this.absent.includes(owner));
  }

  private async ask(subsystem: Subsystem): Promise<void> {
    const turn = turnAt(subsystem);
    if ('reason' in turn) {
      this.failures.push(turn);
      this.pending.delete(subsystem);
      return;
    }
    const asked = this.askInTurn(subsystem, turn).then(() => this.pending.delete(subsystem));
    if (!turn.isProbe) await asked;
  }

  private async askInTurn(subsystem: Subsystem, turn: FanOutTurn): Promise<void> {
    const signal = turn.isProbe ? undefined : this.cut.signal;
    const options = { signal, timeoutMs: turn.leftMs, gatewayPath: this.gatewayPath };
    try {
      const isOwner = await hasRun(subsystem, this.runId, options);
      turn.ended();
      (isOwner ? this.owners : this.absent).push(subsystem);
      if (isOwner) this.firstOwner.resolve();
    } catch (error) {
      turn.ended(error);
      if (saysAbsent(error)) this.absent.push(subsystem);
      else this.failures.push({ subsystemId: subsystem.id, reason: failureReason(error) });
    }
  }
}

async function hasRun({ connection }: Subsystem, runId: string, options: CallOptions): Promise<boolean> {
  const { run } = await connection.read(GET_RUN_UNDECODED, { runId }, options);
  return readTextField(run, RUN_ID) === runId;
}

/**
 * An engine whose ids have another form may say so instead of `not_found`. A gateway that we are asked by has not got it
 * for us, or it would not ask.
 */
function saysAbsent(error: unknown): boolean {
  if (isCircleRefusal(error)) return true;
  const { code } = ConnectError.from(error);
  return code === Code.NotFound || code === Code.InvalidArgument;
}
