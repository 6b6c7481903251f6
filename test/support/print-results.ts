import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { type RunResults, sumResults } from './run-results.ts';

/** `node print-results.ts <folder>`: the verdict over the files of ResultsReporter; exit code 1 unless all is well. */
const folder = process.argv[2] ?? '.';
const runs = readdirSync(folder)
  .filter((name) => name.endsWith('.json'))
  .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as RunResults);
const verdict = sumResults(runs);
process.stdout.write(`${verdict.lines.join('\n')}\n`);
process.exitCode = verdict.ok ? 0 : 1;
