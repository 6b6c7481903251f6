import { randomUUID } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RunResults } from './run-results.ts';

/** What is used of Jest's aggregated result. */
interface JestResults {
  readonly numPassedTests: number;
  readonly numFailedTests: number;
  readonly numRuntimeErrorTestSuites: number;
  readonly testResults: readonly {
    readonly testResults: readonly { readonly status: string; readonly fullName: string }[];
  }[];
}

/** Writes the totals of a Jest run to a file of its own in `TEST_RESULTS_DIR`, for .ci/run; does nothing without it. */
// oxlint-disable-next-line import/no-default-export -- Jest asks for it
export default class ResultsReporter {
  onRunComplete(_contexts: unknown, results: JestResults): void {
    const directory = process.env['TEST_RESULTS_DIR'];
    if (!directory) return;
    const tests = results.testResults.flatMap((file) => file.testResults);
    const skipped = tests.filter(({ status }) => status !== 'passed' && status !== 'failed');
    const summary: RunResults = {
      passed: results.numPassedTests,
      failed: results.numFailedTests + results.numRuntimeErrorTestSuites,
      skipped: skipped.map(({ fullName }) => fullName),
    };
    mkdirSync(directory, { recursive: true });
    writeFileSync(join(directory, `${randomUUID()}.json`), JSON.stringify(summary));
  }
}
