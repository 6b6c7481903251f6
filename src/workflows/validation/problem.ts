import type { Problem } from './validator.js';

type Place = Partial<Pick<Problem, 'nodeId' | 'path' | 'hint'>>;

/** Something for which an execution would fail. */
export function errorProblem(message: string, place: Place = {}): Problem {
  return { severity: 'error', nodeId: null, path: null, hint: null, ...place, message };
}

/** Something for which an execution may fail, or that could not be judged. */
export function warningProblem(message: string, place: Place = {}): Problem {
  return { severity: 'warning', nodeId: null, path: null, hint: null, ...place, message };
}

/** Each problem once: what is true of the whole workflow may have been met at every node. */
export function withoutRepeats(problems: readonly Problem[]): Problem[] {
  return [...new Map(problems.map((problem) => [JSON.stringify(problem), problem])).values()];
}
