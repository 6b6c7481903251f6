import type { Answer, Finding, Problem, ValidatorName } from './validator.js';

export const VERDICTS = ['passed', 'warning', 'failed', 'skipped', 'unanswered', 'error'] as const;

/** One validator's word. */
export interface ValidatorVerdict extends Pick<Finding, 'summary' | 'problems'> {
  readonly validator: ValidatorName;
  /** By its worst problem; `skipped`: nothing to judge, for a reason that another one tells; `unanswered`: not in time; `error`: it broke, for reasons of ours. */
  readonly verdict: (typeof VERDICTS)[number];
  /** null when it has not answered. */
  readonly durationMs: number | null;
}

export interface ValidationReport {
  /** Whether each validator has answered and none has found an error. */
  readonly valid: boolean;
  readonly checkedAt: string;
  readonly durationMs: number;
  /** Of the workflow that was judged. */
  readonly version: number;
  /** In the order of `VALIDATOR_NAMES`. */
  readonly verdicts: readonly ValidatorVerdict[];
}

export function answered(validator: ValidatorName, answer: Answer): ValidatorVerdict {
  const { durationMs, summary, problems } = answer;
  return { validator, verdict: verdictOf(answer), durationMs, summary, problems };
}

export function withoutAnswer(
  validator: ValidatorName,
  verdict: 'unanswered' | 'error',
  problem: Problem,
): ValidatorVerdict {
  return { validator, verdict, durationMs: null, summary: null, problems: [problem] };
}

export function isValid(verdicts: readonly ValidatorVerdict[]): boolean {
  return verdicts.every(({ verdict }) => verdict === 'passed' || verdict === 'warning' || verdict === 'skipped');
}

function verdictOf({ problems, isSkipped = false }: Finding): 'passed' | 'warning' | 'failed' | 'skipped' {
  if (problems.length === 0) return isSkipped ? 'skipped' : 'passed';
  return problems.some(({ severity }) => severity === 'error') ? 'failed' : 'warning';
}
