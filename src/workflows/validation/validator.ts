import type { StoredWorkflow } from '../workflow.js';

/** In the order in which verdicts are told. */
export const VALIDATOR_NAMES = ['schema', 'reachability', 'rights', 'namespaces', 'ownership', 'dry-run'] as const;
export type ValidatorName = (typeof VALIDATOR_NAMES)[number];

export interface Problem {
  /** `error`: an execution would fail; `warning`: it may. */
  readonly severity: 'error' | 'warning';
  /** null: of the whole workflow. */
  readonly nodeId: string | null;
  /** `nodes[2].manifest.kind` of a definition, `spec.replicas` of an object as the API server names it; null: no field. */
  readonly path: string | null;
  /** What is wrong. Never a value of a Secret. */
  readonly message: string;
  /** What to do. */
  readonly hint: string | null;
}

export interface Finding {
  /** What was looked at, in a few words; null when nothing was. */
  readonly summary: string | null;
  readonly problems: readonly Problem[];
  /** Nothing could be judged, for a reason that another validator tells. */
  readonly isSkipped?: boolean;
}

/** The question that every validator gets. */
export interface ValidateWorkflow {
  readonly workflow: StoredWorkflow;
  /** Time for all of it, in milliseconds. The signal ends with it. */
  readonly timeoutMs: number;
}

/** Port: judges one side of a workflow, without changing anything anywhere. Rejects with what is no judgement. */
export interface Validator {
  readonly name: ValidatorName;
  validate(request: ValidateWorkflow, signal: AbortSignal): Promise<Finding>;
}

/** A validator's answer. */
export interface Answer extends Finding {
  readonly durationMs: number;
}

declare module '../../realtime/bus/request-map.js' {
  interface RequestMap {
    'workflow.validate': { request: ValidateWorkflow; answer: Answer };
  }
}
