import type { ConfigSlice, Setting } from './define-config.js';
import { isServiceLink, nearest } from './variable-names.js';

export type Environment = Readonly<Record<string, string | undefined>>;

/** Every mistake of the configuration, one line each; a single one on the same line. */
export class ConfigError extends Error {
  constructor(readonly problems: readonly string[]) {
    const told = problems.length === 1 ? ` ${problems[0]}` : problems.map((problem) => `\n  - ${problem}`).join('');
    super(`the configuration is not valid:${told}`);
    this.name = 'ConfigError';
  }
}

/** Parsed values by the token of their slice. */
export type LoadedConfig = ReadonlyMap<symbol, Readonly<Record<string, unknown>>>;

/**
 * Parses all slices from the environment, once. `readFile` reads what `<variable>_FILE` names, for secrets.
 *
 * Throws ConfigError with every mistake at once: wrong values, unreadable files, unknown CROWSNEST_ names.
 */
export function loadConfig(
  slices: readonly ConfigSlice[],
  environment: Environment,
  readFile: (path: string) => string,
): LoadedConfig {
  const problems = unknownVariables(slices, environment);
  const loaded = new Map<symbol, Readonly<Record<string, unknown>>>();
  for (const slice of slices) {
    const values: Record<string, unknown> = {};
    for (const [field, each] of Object.entries(slice.settings)) {
      const raw = rawValue(each, environment, readFile);
      const text = typeof raw === 'string' ? raw : each.default;
      if (typeof raw === 'object') problems.push(raw.problem);
      else if (text === undefined) values[field] = undefined;
      else {
        try {
          values[field] = each.type.parse(text);
        } catch {
          problems.push(wrongValue(each, text));
        }
      }
    }
    loaded.set(slice.token, Object.freeze(values));
  }
  if (problems.length > 0) throw new ConfigError(problems);
  return loaded;
}

function rawValue(
  each: Setting<unknown>,
  environment: Environment,
  readFile: (path: string) => string,
): string | undefined | { problem: string } {
  const value = emptyAsUnset(environment[each.variable]);
  const file = each.secret ? emptyAsUnset(environment[`${each.variable}_FILE`]) : undefined;
  if (file === undefined) return value;
  if (value !== undefined) {
    return { problem: `${each.variable} and ${each.variable}_FILE are both set: keep one of them` };
  }
  try {
    return readFile(file).trimEnd();
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    return { problem: `${each.variable}_FILE: ${file} cannot be read (${code})` };
  }
}

/** `NAME=` in an environment file means "not set". */
function emptyAsUnset(value: string | undefined): string | undefined {
  return value === '' ? undefined : value;
}

function wrongValue(each: Setting<unknown>, value: string): string {
  const shown = each.secret ? 'its value' : `"${value}"`;
  const example = each.example ?? each.default;
  return `${each.variable}: ${shown} is not ${each.type.expected}${example === undefined ? '' : `; example: ${example}`}`;
}

function unknownVariables(slices: readonly ConfigSlice[], environment: Environment): string[] {
  const settings = slices.flatMap((slice) => Object.values(slice.settings));
  const known = new Set(
    settings.flatMap((each) => (each.secret ? [each.variable, `${each.variable}_FILE`] : [each.variable])),
  );
  return Object.keys(environment)
    .filter((name) => name.startsWith('CROWSNEST_') && !known.has(name) && !isServiceLink(name))
    .map((name) => `${name} is not a setting; did you mean ${nearest(name, known)}?`);
}
