/** One line of the table. */
export interface Figure {
  readonly figure: string;
  readonly ours: string;
  /** The same of whatever it is measured beside, in the same run; `-` where the goal is absolute. */
  readonly peer: string;
  readonly goal: string;
  readonly met: boolean;
}

export const median = (values: readonly number[]): number => quantile(values, 0.5);

/** The smallest value that `share` of all do not exceed; NaN of nothing. */
export function quantile(values: readonly number[], share: number): number {
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? NaN;
}

export const milliseconds = (value: number): string => `${value.toFixed(value < 10 ? 1 : 0)} ms`;
export const megabytes = (bytes: number): string => `${(bytes / 1e6).toFixed(0)} MB`;
