import { Logger } from '@nestjs/common';
import type { HeldLease } from '../leader-election/index.js';
import type { EventBus } from '../realtime/index.js';
import type { Clock } from '../runtime/clock.js';
import type { ControllerMetrics } from './controller-metrics.js';
import type { RoundResult } from './controller-record.js';
import { errorText } from './error-text.js';
import type { RoundOutcome } from './reconcile-round.js';

/** One that was not cut short. */
type EndedRound = Exclude<RoundOutcome, { kind: 'cut' }>;

export interface RoundSinks {
  readonly metrics: ControllerMetrics;
  readonly bus: Pick<EventBus, 'publish'>;
  readonly clock: Clock;
}

/** Tells metrics, log and bus what came of the rounds of one controller. */
export class RoundReports {
  private readonly log = new Logger(RoundReports.name);

  constructor(
    private readonly name: string,
    private readonly sinks: RoundSinks,
  ) {}

  measure(outcome: EndedRound): void {
    const { metrics, clock } = this.sinks;
    if (outcome.kind === 'failure') {
      metrics.recordReconcile(this.name, 0, outcome.durationMs, outcome.error);
      metrics.incrementReconcileErrors(this.name);
      return;
    }
    metrics.recordReconcile(this.name, outcome.result.processed, outcome.durationMs);
    metrics.setLastReconcileTime(this.name, new Date(clock.now()));
  }

  report(outcome: EndedRound, { epoch }: HeldLease, consecutiveErrors: number, nextInMs: number): void {
    const { durationMs } = outcome;
    const { processed, changed } = outcome.kind === 'success' ? outcome.result : { processed: 0, changed: 0 };
    const line = { controller: this.name, epoch, durationMs, nextInMs };
    if (outcome.kind === 'failure') {
      this.log.warn({ message: 'a round failed', ...line, consecutiveErrors, error: outcome.error });
    } else if (changed > 0) {
      this.log.log({ message: 'a round changed something', ...line, processed, changed, ...outcome.result.detail });
    } else {
      this.log.debug({ message: 'a round found nothing to change', ...line, processed });
    }
    this.sinks.bus.publish(
      'controller.reconciled',
      { name: this.name, epoch, outcome: outcome.kind, processed, changed, durationMs, consecutiveErrors },
      { coalesceKey: this.name },
    );
  }
}

/** What its record keeps of it. */
export function resultOf(outcome: EndedRound, nextInMs: number): RoundResult {
  const { durationMs } = outcome;
  if (outcome.kind === 'failure') return { durationMs, nextInMs, error: errorText(outcome.error) };
  const { processed, changed, detail } = outcome.result;
  return { durationMs, nextInMs, processed, changed, ...(detail ? { detail } : {}) };
}
