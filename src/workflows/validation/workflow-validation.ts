import { Inject, Injectable, Logger } from '@nestjs/common';
import type { Scope } from '../../auth/principal.js';
import { AppError } from '../../errors/app-error.js';
import { Readiness } from '../../lifecycle/index.js';
import { EventBus, EventBusPaused } from '../../realtime/index.js';
import { CLOCK, type Clock } from '../../runtime/clock.js';
import type { StoredWorkflow } from '../workflow.js';
import { WorkflowsRepository } from '../workflows.repository.js';
import { errorProblem } from './problem.js';
import { answered, isValid, type ValidationReport, type ValidatorVerdict, withoutAnswer } from './validation-report.js';
import { VALIDATOR_NAMES, type ValidatorName } from './validator.js';

/** Each spends the cluster's API server some hundred calls. */
const MAX_AT_A_TIME = 16;
const MAX_OF_A_WORKFLOW = 2;

export interface ValidateOptions {
  readonly timeoutMs: number;
  /** Gives it up, with the signal's reason. */
  readonly signal: AbortSignal;
}

/** Asks all validators about a workflow at once. Nothing is changed, in the cluster or here. */
@Injectable()
export class WorkflowValidation {
  private readonly log = new Logger(WorkflowValidation.name);
  /** Validations in progress, by workflow. */
  private readonly inProgress = new Map<string, number>();

  constructor(
    private readonly workflows: WorkflowsRepository,
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'request'>,
    @Inject(Readiness) private readonly readiness: Pick<Readiness, 'state'>,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * @throws AppError `resource.not_found`, `request.rate_limited`, `service.draining`, `service.unavailable` while the
   * event bus does not run; the signal's reason.
   */
  async validate(scope: Scope, workflowId: string, options: ValidateOptions): Promise<ValidationReport> {
    this.refuseDraining();
    const workflow = await this.workflows.find(scope, workflowId);
    if (workflow === null) throw AppError.notFound('workflow');
    this.takePlace(workflow.id);
    try {
      return await this.ask(workflow, options);
    } finally {
      this.leavePlace(workflow.id);
    }
  }

  private async ask(workflow: StoredWorkflow, { timeoutMs, signal }: ValidateOptions): Promise<ValidationReport> {
    const checkedAt = new Date(this.clock.now()).toISOString();
    const began = this.clock.monotonic();
    try {
      const question = { workflow, timeoutMs };
      const options = { responders: VALIDATOR_NAMES, minAnswers: VALIDATOR_NAMES.length, timeoutMs, signal };
      const { answers, errors } = await this.bus.request('workflow.validate', question, options);
      const verdicts = VALIDATOR_NAMES.map((name): ValidatorVerdict => {
        const answer = answers.get(name);
        if (answer !== undefined) return answered(name, answer);
        return errors.has(name) ? this.broken(name, workflow, errors.get(name)) : unanswered(name, timeoutMs);
      });
      const durationMs = Math.round(this.clock.monotonic() - began);
      return { valid: isValid(verdicts), checkedAt, durationMs, version: workflow.version, verdicts };
    } catch (error) {
      if (!(error instanceof EventBusPaused)) throw error;
      this.refuseDraining();
      const detail = 'the validators cannot be asked, because the event bus does not run; try again in a moment';
      throw new AppError('service.unavailable', detail, { headers: { 'Retry-After': '2' }, cause: error });
    }
  }

  private refuseDraining(): void {
    if (this.readiness.state !== 'draining') return;
    throw new AppError('service.draining', 'the service is shutting down; try again when it is back', {
      headers: { 'Retry-After': '10' },
    });
  }

  private broken(validator: ValidatorName, { id }: StoredWorkflow, error: unknown): ValidatorVerdict {
    this.log.error({ message: 'a validator broke', validator, workflowId: id, error });
    const message = 'internal: the validator broke; the log of the service has the details';
    return withoutAnswer(
      validator,
      'error',
      errorProblem(message, { hint: 'validate again; the other verdicts stand' }),
    );
  }

  private takePlace(workflowId: string): void {
    const ofWorkflow = this.inProgress.get(workflowId) ?? 0;
    const all = [...this.inProgress.values()].reduce((sum, count) => sum + count, 0);
    if (ofWorkflow >= MAX_OF_A_WORKFLOW || all >= MAX_AT_A_TIME) {
      const whose =
        ofWorkflow >= MAX_OF_A_WORKFLOW ? `${ofWorkflow} validations of this workflow` : `${all} validations`;
      throw new AppError('request.rate_limited', `${whose} are in progress; wait for an answer, then ask again`, {
        headers: { 'Retry-After': '2' },
      });
    }
    this.inProgress.set(workflowId, ofWorkflow + 1);
  }

  private leavePlace(workflowId: string): void {
    const left = (this.inProgress.get(workflowId) ?? 1) - 1;
    if (left === 0) this.inProgress.delete(workflowId);
    else this.inProgress.set(workflowId, left);
  }
}

function unanswered(validator: ValidatorName, timeoutMs: number): ValidatorVerdict {
  const message = `has not answered within ${timeoutMs} ms`;
  const hint = 'see the verdict of reachability; ask with a longer ?timeout= (at most 30s) if the cluster is slow';
  return withoutAnswer(validator, 'unanswered', errorProblem(message, { hint }));
}
