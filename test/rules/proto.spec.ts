import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ROOT } from './source-files.js';

const buf = (...args: readonly string[]): string =>
  execFileSync(join(ROOT, 'node_modules/.bin/buf'), args, {
    cwd: join(ROOT, 'proto'),
    encoding: 'utf8',
    env: { ...process.env, PATH: `${join(ROOT, 'node_modules/.bin')}:${process.env['PATH']}` },
  });

describe('the wire definitions', () => {
  let fresh: string;

  beforeAll(() => {
    fresh = mkdtempSync(join(tmpdir(), 'crowsnest-proto-'));
    // Written where the template says, below `--output`.
    buf('generate', '--output', join(fresh, 'proto'));
  });

  afterAll(() => rmSync(fresh, { recursive: true, force: true }));

  it('are what the generated code was made from: run `npm run proto` after a change', () => {
    expect(filesOf(join(ROOT, 'src/gateway/gen'))).toEqual(filesOf(join(fresh, 'src/gateway/gen')));
  });

  it('are clean and formatted', () => {
    expect(buf('lint')).toBe('');
    expect(buf('format', '--diff')).toBe('');
  });
});

function filesOf(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.ts'));
  return Object.fromEntries(names.toSorted().map((name) => [name, readFileSync(join(folder, name), 'utf8')]));
}
