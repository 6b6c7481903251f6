/** Reads the text of an environment variable; throws an Error whose message completes "expected …". */
export interface SettingType<T> {
  /** What is expected, for the error and for `.env.example`: `a duration like 30s`. */
  readonly expected: string;
  parse(text: string): T;
}

class Unreadable extends Error {}

const UNIT_MS = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

/** `250ms`, `30s`, `10m`, `24h`, `7d` to milliseconds. */
export function duration(options: { minMs?: number; maxMs?: number } = {}): SettingType<number> {
  const { minMs = 0, maxMs = 10 * 365 * UNIT_MS.d } = options;
  return {
    expected: `a duration like 250ms, 30s, 10m, 24h or 7d${minMs > 0 ? `, at least ${formatDuration(minMs)}` : ''}`,
    parse(text) {
      const match = /^(\d{1,12})(ms|s|m|h|d)$/.exec(text);
      if (!match) throw new Unreadable();
      const ms = Number(match[1]) * UNIT_MS[match[2] as keyof typeof UNIT_MS];
      if (ms < minMs || ms > maxMs) throw new Unreadable();
      return ms;
    },
  };
}

export function formatDuration(ms: number): string {
  const unit = (['d', 'h', 'm', 's'] as const).find((each) => ms > 0 && ms % UNIT_MS[each] === 0) ?? 'ms';
  return `${ms / UNIT_MS[unit]}${unit}`;
}

export function integer(min: number, max: number): SettingType<number> {
  return {
    expected: `a whole number from ${min} to ${max}`,
    parse(text) {
      const value = Number(text);
      if (!/^-?\d+$/.test(text) || value < min || value > max) throw new Unreadable();
      return value;
    },
  };
}

export function boolean(): SettingType<boolean> {
  return {
    expected: 'true or false',
    parse(text) {
      if (text !== 'true' && text !== 'false') throw new Unreadable();
      return text === 'true';
    },
  };
}

export function oneOf<const T extends string>(...choices: readonly T[]): SettingType<T> {
  return {
    expected: `one of ${choices.join(', ')}`,
    parse(text) {
      const choice = choices.find((each) => each === text);
      if (choice === undefined) throw new Unreadable();
      return choice;
    },
  };
}

export function text(expected: string, pattern = /[^]/): SettingType<string> {
  return {
    expected,
    parse(value) {
      if (!pattern.test(value)) throw new Unreadable();
      return value;
    },
  };
}

/** Items separated by commas or line ends; blanks around them and empty items are left out. */
export function list<T>(item: SettingType<T>): SettingType<readonly T[]> {
  return {
    expected: `a list separated by commas, each ${item.expected}`,
    parse: (value) =>
      value
        .split(/[,\n]/)
        .map((part) => part.trim())
        .filter((part) => part !== '')
        .map((part) => item.parse(part)),
  };
}
