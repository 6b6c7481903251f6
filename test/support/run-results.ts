/** What one Jest run came to. */
export interface RunResults {
  readonly passed: number;
  /** Failed tests, and spec files that could not be run at all. */
  readonly failed: number;
  /** Full names of the tests that were skipped or are still to be written. */
  readonly skipped: readonly string[];
}

export interface Verdict {
  readonly lines: readonly string[];
  readonly ok: boolean;
}

/** Sums the runs of one CI run: at least one must have run, none may have failed, and no test may have been skipped. */
export function sumResults(runs: readonly RunResults[]): Verdict {
  const total = (count: (run: RunResults) => number): number => runs.reduce((sum, run) => sum + count(run), 0);
  const passed = total((run) => run.passed);
  const failed = total((run) => run.failed);
  const skipped = runs.flatMap((run) => run.skipped);
  return {
    ok: passed > 0 && failed === 0 && skipped.length === 0,
    lines: [
      ...skipped.map((name) => `skipped, which is not allowed here: ${name}`),
      `${passed} passed, ${failed} failed, ${skipped.length} skipped`,
    ],
  };
}
