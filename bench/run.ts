// `npm run bench [-- name …]`: runs every bench/*.bench.ts, or those named, one after the other, and prints one table (Markdown).
import { readdirSync } from 'node:fs';
import { cpus } from 'node:os';
import type { Figure } from './figure.ts';

const asked = process.argv.slice(2);
const names = readdirSync(import.meta.dirname)
  .filter((file) => file.endsWith('.bench.ts'))
  .map((file) => file.slice(0, -'.bench.ts'.length));
const unknown = asked.filter((name) => !names.includes(name));
if (unknown.length > 0) {
  process.stderr.write(`there is no benchmark ${unknown.join(', ')}; there are: ${names.join(', ')}\n`);
  process.exit(64);
}

const row = (cells: readonly string[]): string => `| ${cells.join(' | ')} |\n`;

process.stdout.write(`${cpus().length} × ${cpus()[0]?.model ?? 'unknown'}, Node ${process.version}\n\n`);
process.stdout.write(row(['figure', 'ours', 'beside', 'goal', 'met']) + row(['---', '---', '---', '---', '---']));
let missed = 0;
for (const name of asked.length > 0 ? asked : names) {
  const { run } = (await import(`./${name}.bench.ts`)) as { run: () => Promise<Figure[]> };
  for (const { figure, ours, peer, goal, met } of await run()) {
    if (!met) missed += 1;
    process.stdout.write(row([figure, ours, peer, goal, met ? 'yes' : 'NO']));
  }
}
// Peers leave timers behind: agenda one for each job that it held when it was stopped.
process.exit(missed === 0 ? 0 : 1);
