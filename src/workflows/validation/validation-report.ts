import type { Answer, Finding, Problem, ValidatorName } from './validator.js';

export const VERDICTS = ['passed', 'warning', 'failed', 'unanswered', 'error'] as const;

/** One validator's word. */
export interface ValidatorVerdict extends Finding {
  readonly validator: ValidatorName;
  /** By its worst problem; `unanswered`: not in time; `error`: it broke, for reasons of ours. */
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

export function answered(validator: ValidatorName, { durationMs, summary, problems }: Answer): ValidatorVerdict {
  return { validator, verdict: verdictOf(problems), durationMs, summary, problems };
}

export function withoutAnswer(
  validator: ValidatorName,
  verdict: 'unanswered' | 'error',
  problem: Problem,
): ValidatorVerdict {
  return { validator, verdict, durationMs: null, summary: null, problems: [problem] };
}

export function isValid(verdicts: readonly ValidatorVerdict[]): boolean {
  return verdicts.every(({ verdict }) => verdict === 'passed' || verdict === 'warning');
}

function verdictOf(problems: readonly Problem[]): 'passed' | 'warning' | 'failed' {
  if (problems.length === 0) return 'passed';
  return problems.some(({ severity }) => severity === 'error') ? 'failed' : 'warning';
}
