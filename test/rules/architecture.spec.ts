import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { CONFIG_SLICES } from '../../src/app.config.js';
import { isServiceLink } from '../../src/config/variable-names.js';
import { renderEnvExample } from '../../src/config/index.js';
import { ERROR_CODES } from '../../src/errors/error-codes.js';
import { ROOT, roomOf, sourceFiles } from './source-files.js';

const files = sourceFiles();

/** The rooms of ARCHITECTURE.md, in its order: from the bottom up. */
function roomsOfTheDocument(): string[] {
  const document = readFileSync(join(ROOT, 'ARCHITECTURE.md'), 'utf8');
  return [...document.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1] ?? '');
}

describe('the rooms', () => {
  it('are those of ARCHITECTURE.md', () => {
    const rooms = new Set(files.map((file) => roomOf(file.path)).filter((room) => room !== undefined));
    expect([...rooms].toSorted()).toEqual(roomsOfTheDocument().toSorted());
  });

  it('import only rooms that stand above them', () => {
    const order = roomsOfTheDocument();
    const wrong = files.flatMap((file) => {
      const room = roomOf(file.path);
      if (room === undefined) return [];
      return file.imports
        .filter((target) => target.startsWith('src/'))
        .filter((target) => {
          const other = roomOf(target);
          return other === undefined || order.indexOf(other) > order.indexOf(room);
        })
        .map((target) => `${file.path} -> ${target}`);
    });
    expect(wrong).toEqual([]);
  });

  it('have no cycles between files', () => {
    const graph = new Map(files.map((file) => [file.path, file.imports]));
    const done = new Set<string>();
    const cycles: string[] = [];
    const visit = (path: string, trail: readonly string[]): void => {
      if (trail.includes(path)) cycles.push([...trail.slice(trail.indexOf(path)), path].join(' -> '));
      else if (!done.has(path)) {
        for (const target of graph.get(path) ?? []) visit(target, [...trail, path]);
        done.add(path);
      }
    };
    for (const file of files) visit(file.path, []);
    expect(cycles).toEqual([]);
  });
});

describe('the code', () => {
  const AMBIENT =
    /\b(Date\.now\(|new Date\(\)|Math\.random\(|setTimeout\(|setInterval\(|performance\.now\(|process\.env\b|randomUUID\(|console\.)/;
  /** Each with its reason. */
  const ALLOWED = new Map([
    ['src/runtime/clock.ts', 'the clock itself'],
    ['src/runtime/random.ts', 'the source of randomness itself'],
    ['src/main.ts', 'hands the environment over, once'],
  ]);

  it('takes time, chance and environment from what is injected', () => {
    const offenders = files
      .filter((file) => !ALLOWED.has(file.path) && AMBIENT.test(file.code))
      .map((file) => `${file.path}: ${AMBIENT.exec(file.code)?.[0]}`);
    expect(offenders).toEqual([]);
  });

  it('connects to the outside through egress only', () => {
    const dialling = /\b(net\.connect\(|tls\.connect\(|http2?\.request\(|https\.request\(|\bfetch\()/;
    const offenders = files
      .filter((file) => roomOf(file.path) !== 'egress' && dialling.test(file.code))
      .map((file) => file.path);
    expect(offenders).toEqual([]);
  });

  it('gives every error code a use', () => {
    const code = files.filter((file) => file.path !== 'src/errors/error-codes.ts').map((file) => file.code);
    const unused = Object.keys(ERROR_CODES).filter((each) => !code.some((text) => text.includes(`'${each}'`)));
    expect(unused).toEqual([]);
  });
});

describe('.env.example', () => {
  it('equals the settings and their defaults', () => {
    expect(readFileSync(join(ROOT, '.env.example'), 'utf8')).toBe(renderEnvExample(CONFIG_SLICES));
  });

  it('lists every slice that a room defines', () => {
    const defined = files.filter((file) => /= defineConfig\(/.test(file.code)).map((file) => file.path);
    expect(CONFIG_SLICES).toHaveLength(defined.length);
  });

  it('has no name that Kubernetes injects for a Service', () => {
    const names = CONFIG_SLICES.flatMap((slice) => Object.values(slice.settings).map((each) => each.variable));
    expect(names.filter(isServiceLink)).toEqual([]);
    expect(new Set(names).size).toBe(names.length);
  });
});
