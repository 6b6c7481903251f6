import type { NodeOutcome, WorkflowDefinition } from '../workflow.js';

/** What a step needs of another one: that the API server took it, or that it is through. */
export interface Dependency {
  readonly index: number;
  readonly needs: 'applied' | 'done';
}

export interface PlannedStep {
  readonly outcome: NodeOutcome;
  readonly after: readonly Dependency[];
}

export interface PlanOptions {
  /** One failure lets nothing else begin; otherwise only what depends on it is skipped. */
  readonly stopOnFailure: boolean;
  readonly cancelled: boolean;
}

export interface Skip {
  readonly index: number;
  /** `DependencyFailed`, `RunStopped` or `RunCancelled`. */
  readonly reason: string;
  /** The step that it was skipped for, if it was one. */
  readonly becauseOf: number | null;
}

export interface Plan {
  /** Steps whose turn it is, in the order of the definition. */
  readonly start: readonly number[];
  readonly skip: readonly Skip[];
  /** Steps whose health nothing waits for any more. */
  readonly unneeded: readonly number[];
}

const APPLIED: ReadonlySet<NodeOutcome> = new Set(['waiting', 'created', 'configured', 'unchanged', 'timed-out']);
const DONE: ReadonlySet<NodeOutcome> = new Set(['created', 'configured', 'unchanged', 'deleted', 'kept', 'remains']);
const IN_PROGRESS: ReadonlySet<NodeOutcome> = new Set(['pending', 'applying', 'waiting', 'deleting']);
const SUCCEEDED: ReadonlySet<NodeOutcome> = new Set(['created', 'configured', 'unchanged', 'deleted', 'kept']);

export function isFinal(outcome: NodeOutcome): boolean {
  return !IN_PROGRESS.has(outcome);
}

export function isSuccess(outcome: NodeOutcome): boolean {
  return SUCCEEDED.has(outcome);
}

/** What comes next, from the outcomes alone: a run that was cut anywhere goes on by planning again. */
export function planNext(steps: readonly PlannedStep[], options: PlanOptions): Plan {
  const outcomes = steps.map(({ outcome }) => outcome);
  const skip: Skip[] = [];
  const skipStep = (index: number, reason: string, becauseOf: number | null): void => {
    outcomes[index] = 'skipped';
    skip.push({ index, reason, becauseOf });
  };
  const pending = (): number[] => outcomes.flatMap((outcome, index) => (outcome === 'pending' ? [index] : []));

  const failed = outcomes.findIndex((outcome) => isFinal(outcome) && !isSuccess(outcome) && outcome !== 'skipped');
  if (options.cancelled) for (const index of pending()) skipStep(index, 'RunCancelled', null);
  if (options.stopOnFailure && failed >= 0) {
    for (const index of pending()) {
      const blocker = blockerOf(steps[index], outcomes);
      skipStep(index, blocker === undefined ? 'RunStopped' : 'DependencyFailed', blocker ?? failed);
    }
  }
  // What depends on a skipped step is skipped too, so until nothing changes any more.
  for (let before = -1; before !== skip.length;) {
    before = skip.length;
    for (const index of pending()) {
      const blocker = blockerOf(steps[index], outcomes);
      if (blocker !== undefined) skipStep(index, 'DependencyFailed', blocker);
    }
  }
  const start = pending().filter((index) =>
    (steps[index]?.after ?? []).every((dependency) => isMet(dependency, outcomes[dependency.index])),
  );
  const awaited = new Set(
    pending().flatMap((index) =>
      (steps[index]?.after ?? []).flatMap((each) => (each.needs === 'done' ? [each.index] : [])),
    ),
  );
  const unneeded = outcomes.flatMap((outcome, index) => (outcome === 'waiting' && !awaited.has(index) ? [index] : []));
  return { start, skip, unneeded };
}

/** For each node of a definition what it comes after. */
export function dependenciesOf({ nodes, edges }: Pick<WorkflowDefinition, 'nodes' | 'edges'>): Dependency[][] {
  const indexOf = new Map(nodes.map(({ id }, index) => [id, index]));
  return nodes.map(({ id }) =>
    edges.flatMap(({ source, target, waitFor }): Dependency[] => {
      const index = indexOf.get(source);
      if (target !== id || index === undefined) return [];
      return [{ index, needs: waitFor === 'healthy' ? 'done' : 'applied' }];
    }),
  );
}

function isMet({ needs }: Dependency, outcome: NodeOutcome | undefined): boolean {
  return outcome !== undefined && (needs === 'applied' ? APPLIED : DONE).has(outcome);
}

/** A dependency that can never be met any more. */
function blockerOf(step: PlannedStep | undefined, outcomes: readonly NodeOutcome[]): number | undefined {
  return step?.after.find((dependency) => {
    const outcome = outcomes[dependency.index];
    return outcome !== undefined && isFinal(outcome) && !isMet(dependency, outcome);
  })?.index;
}
