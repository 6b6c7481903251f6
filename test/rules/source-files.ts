import { readFileSync, readdirSync } from 'node:fs';
import { dirname, join, normalize, relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = fileURLToPath(new URL('../../', import.meta.url));

export interface SourceFile {
  /** From the root of the repository, with slashes: `src/http/page.ts`. */
  readonly path: string;
  readonly text: string;
  /** Without comments, for what code must not do. */
  readonly code: string;
  /** Relative imports, as paths from the root; type imports too, because they are knowledge of the other room as well. */
  readonly imports: readonly string[];
}

/** Production code: everything below src/ that is no spec. */
export function sourceFiles(): SourceFile[] {
  return readdirSync(join(ROOT, 'src'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/\.(spec|contract)\.ts$/.test(name))
    .map((name) => read(join('src', name)))
    .toSorted((a, b) => (a.path < b.path ? -1 : 1));
}

function read(path: string): SourceFile {
  const text = readFileSync(join(ROOT, path), 'utf8');
  const code = text.replaceAll(/\/\*[^]*?\*\//g, '').replaceAll(/(^|\s)\/\/.*$/gm, '');
  const specifiers = [...code.matchAll(/(?:from|import\()\s*'(\.[^']+)'/g)].map((match) => match[1] ?? '');
  const imports = specifiers.map((specifier) => {
    const target = relative(ROOT, normalize(join(ROOT, dirname(path), specifier)));
    return target.replace(/\.js$/, '.ts');
  });
  return { path, text, code, imports };
}

/** `http` of `src/http/page.ts`; undefined for the root files. */
export function roomOf(path: string): string | undefined {
  const [, room, rest] = path.split('/');
  return rest === undefined ? undefined : room;
}
