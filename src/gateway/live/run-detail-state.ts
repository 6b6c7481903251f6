import { create, equals } from '@bufbuild/protobuf';
import { type Timestamp, timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import type { Clock } from '../../runtime/clock.js';
import type { CallOptions } from '../connections/subsystem-connection.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import {
  type RunDetailEvent,
  RunDetailEventSchema,
  RunDetailEventType,
} from '../gen/flowwatch/v1/stream_service_pb.js';
import { type Run, RunSchema, type StepExecution, StepExecutionSchema } from '../gen/flowwatch/v1/types_pb.js';
import { nobodyHas } from '../routing/owner-error.js';
import type { OwnedRun } from '../routing/run-owners.js';
import { hasEnded } from './live-run.js';
import { RunLogTail } from './run-log-tail.js';

const { getRun, getRunSteps } = RunService.method;

/** What a watcher of one run has been told, and what it has not when the subsystem is asked again. */
export class RunDetailState {
  private run: Run | undefined;
  private readonly steps = new Map<string, StepExecution>();
  private readonly logs: RunLogTail;
  private isPrimed = false;

  constructor(
    private readonly owned: OwnedRun,
    private readonly clock: Pick<Clock, 'now'>,
  ) {
    this.logs = new RunLogTail(owned);
  }

  get hasEnded(): boolean {
    return this.run !== undefined && hasEnded(this.run);
  }

  /** Told by the stream. */
  note({ run, step, logEntry }: RunDetailEvent): void {
    if (run) this.run = run;
    if (step) this.steps.set(keyOf(step), step);
    if (logEntry) this.logs.noteSeen(logEntry);
  }

  /** Takes the log up to now as known: what is there when somebody begins to watch is no news. */
  async prime(options: CallOptions): Promise<void> {
    await this.logs.look(options);
    this.isPrimed = true;
  }

  /** Asks the subsystem, and says what differs from what was told. Rejects as its calls do. */
  async missed(options: CallOptions): Promise<readonly RunDetailEvent[]> {
    const { subsystem, runId } = this.owned;
    const logs = this.isPrimed ? await this.logs.look(options) : [];
    if (!this.isPrimed) await this.prime(options);
    const [{ run }, steps] = await Promise.all([
      subsystem.connection.read(getRun, { runId }, options),
      this.readSteps(options),
    ]);
    if (!run) throw nobodyHas('run', runId, []);
    const eventTime = timestampFromMs(this.clock.now());
    const changedSteps = steps.filter((step) => !isSameStep(this.steps.get(keyOf(step)), step));
    const events = [
      ...logs.map((logEntry) => eventOf({ eventTime: logEntry.timestamp ?? eventTime, logEntry })),
      ...changedSteps.map((step) => eventOf({ eventTime, step })),
      // Last, so that nothing follows the end of the run.
      ...(this.run && equals(RunSchema, this.run, run) ? [] : [eventOf({ eventTime, run })]),
    ];
    for (const event of events) this.note(event);
    return events;
  }

  private async readSteps(options: CallOptions): Promise<readonly StepExecution[]> {
    const { subsystem, runId } = this.owned;
    try {
      return (await subsystem.connection.read(getRunSteps, { runId }, options)).steps;
    } catch (error) {
      if (ConnectError.from(error).code === Code.Unimplemented) return [];
      throw error;
    }
  }
}

type Detail = Partial<Pick<RunDetailEvent, 'run' | 'step' | 'logEntry'>> & { readonly eventTime: Timestamp };

function eventOf(detail: Detail): RunDetailEvent {
  const { RUN_UPDATED, STEP_UPDATED, LOG_APPENDED } = RunDetailEventType;
  const eventType = detail.run ? RUN_UPDATED : detail.step ? STEP_UPDATED : LOG_APPENDED;
  return create(RunDetailEventSchema, { eventType, ...detail });
}

function keyOf({ id, stepName, attempt }: StepExecution): string {
  return JSON.stringify([id, stepName, attempt]);
}

function isSameStep(known: StepExecution | undefined, step: StepExecution): boolean {
  return known !== undefined && equals(StepExecutionSchema, known, step);
}
