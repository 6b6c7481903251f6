import type { Duration } from '@bufbuild/protobuf/wkt';
import { durationOf, toNanos } from '../routing/wire-time.js';

export interface Percentiles {
  readonly p50?: Duration | undefined;
  readonly p95?: Duration | undefined;
  readonly p99?: Duration | undefined;
}

export interface WeighedPercentiles {
  readonly percentiles: Percentiles;
  /** How many samples they are of. */
  readonly samples: bigint;
}

/** Whether they say anything: engines give zeros for no samples. */
export function saysAnything({ p50, p95, p99 }: Percentiles): boolean {
  return [p50, p95, p99].some((each) => each && toNanos(each) > 0n);
}

/**
 * Percentiles of several sets of samples follow from those of each only within bounds. This is the upper one: no set has
 * more than its share above its own percentile, so all together do not above the greatest. Never lower than the truth.
 * What none of them tells stays untold.
 */
export function greatestPercentiles(all: readonly Percentiles[]): Percentiles {
  const greatest = (key: keyof Percentiles): Duration | undefined => {
    const told = all.flatMap(({ [key]: each }) => (each ? [toNanos(each)] : []));
    return told.length === 0 ? undefined : durationOf(max(told));
  };
  return { p50: greatest('p50'), p95: greatest('p95'), p99: greatest('p99') };
}

/**
 * The least upper bound when the number of samples is known: at a duration that reaches its p95, at least 95 % of a set's
 * samples are counted; the bound is the first at which enough of all are. A few slow samples do not lift the p50 of many.
 */
export function boundedPercentiles(all: readonly WeighedPercentiles[]): Percentiles {
  const sets = all.filter(({ samples }) => samples > 0n).map((each) => ({ ...each, steps: stepsOf(each.percentiles) }));
  if (sets.length < all.length) return greatestPercentiles(all.map(({ percentiles }) => percentiles));
  const durations = sets.flatMap(({ steps }) => steps.map(({ nanos }) => nanos)).toSorted(compare);
  const total = sets.reduce((sum, { samples }) => sum + samples, 0n);
  const bound = (percent: bigint): Duration => {
    const isEnough = (nanos: bigint): boolean => {
      const counted = sets.reduce((sum, { samples, steps }) => sum + samples * reached(steps, nanos), 0n);
      return counted >= percent * total;
    };
    return durationOf(durations.find(isEnough) ?? 0n);
  };
  return { p50: bound(50n), p95: bound(95n), p99: bound(99n) };
}

interface Step {
  readonly percent: bigint;
  readonly nanos: bigint;
}

function stepsOf({ p50, p95, p99 }: Percentiles): readonly Step[] {
  return [
    { percent: 50n, nanos: nanosOf(p50) },
    { percent: 95n, nanos: nanosOf(p95) },
    { percent: 99n, nanos: nanosOf(p99) },
  ];
}

/** Per cent of the samples that are surely no longer than that. */
function reached(steps: readonly Step[], nanos: bigint): bigint {
  return max(steps.filter((step) => step.nanos <= nanos).map(({ percent }) => percent));
}

function nanosOf(duration: Duration | undefined): bigint {
  return duration ? toNanos(duration) : 0n;
}

function max(values: readonly bigint[]): bigint {
  return values.reduce((greatest, value) => (value > greatest ? value : greatest), 0n);
}

function compare(a: bigint, b: bigint): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
