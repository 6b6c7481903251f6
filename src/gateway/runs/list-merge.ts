import { failureReason } from '../routing/failure-reason.js';
import type { ListSource } from './list-source.js';
import type { ListedUpTo } from './run-cursor.js';
import { type RunOrder, compareKeys } from './run-order.js';
import type { UndecodedRun } from './undecoded-run.js';

export interface MergedRun {
  readonly source: ListSource;
  readonly run: UndecodedRun;
}

export interface MergedPage {
  readonly runs: readonly MergedRun[];
  /** The last by the order of these and of all pages before. */
  readonly upTo: ListedUpTo | undefined;
  /** A run sorts before one that was listed earlier: its subsystem was missing then, or does not keep the order. */
  readonly isLate: boolean;
}

/**
 * Runs to ask each of some subsystems for when so many are wanted: its share if theirs alternate evenly, and three
 * standard deviations more, so that mixed ones hardly ever have to be asked twice, and a page costs about as much however
 * many subsystems there are.
 */
export function sizeOfCall(wanted: number, subsystems: number): number {
  const share = wanted / Math.max(1, subsystems);
  return Math.min(wanted, Math.ceil(share + 3 * Math.sqrt(share)));
}

/**
 * The next runs of all: by the order, then the id of the subsystem, then as the subsystem gives them. Sources that run
 * out are read on, and with them those that soon will. One that fails to is left out from there on and keeps its place.
 * Ends early when a source may not be asked again for this page, since its next run may be the next of all.
 *
 * The next run is found by comparing all heads: a page has at most 500, and the call to a subsystem costs far more.
 *
 * @param sources By the id of their subsystem, ascending.
 */
export async function mergeRuns(
  sources: readonly ListSource[],
  order: RunOrder,
  limit: number,
  from: ListedUpTo | undefined,
): Promise<MergedPage> {
  const runs: MergedRun[] = [];
  let upTo = from;
  let isLate = false;
  while (runs.length < limit) {
    const next = firstOf(sources, order);
    if (next === 'out') {
      if (sources.some((source) => isOut(source) && source.isSpent)) break;
      await readOn(sources, limit - runs.length);
      continue;
    }
    if (!next) break;
    const { source, run } = next;
    source.take();
    runs.push(next);
    const subsystemId = source.subsystem.id;
    const compared = upTo ? compareKeys(order, run, upTo) : 1;
    if (upTo && (compared < 0 || (compared === 0 && subsystemId < upTo.subsystemId))) isLate = true;
    else upTo = { major: run.major, minor: run.minor, subsystemId };
  }
  return { runs: isLate ? sorted(runs, order) : runs, upTo, isLate };
}

/** `out`: a source has to be read on first. */
function firstOf(sources: readonly ListSource[], order: RunOrder): MergedRun | 'out' | undefined {
  let first: MergedRun | undefined;
  for (const source of sources) {
    const run = source.head;
    if (run === undefined) {
      if (source.hasMore) return 'out';
    } else if (first === undefined || compareKeys(order, run, first.run) < 0) {
      first = { source, run };
    }
  }
  return first;
}

const isOut = (source: ListSource): boolean => source.head === undefined && source.hasMore;

async function readOn(sources: readonly ListSource[], wanted: number): Promise<void> {
  const live = sources.filter(({ head, hasMore }) => head !== undefined || hasMore);
  const share = Math.ceil(wanted / live.length);
  const size = sizeOfCall(wanted, live.length);
  await Promise.all(
    live.map(async (source) => {
      try {
        // One that has run out may have all that is wanted: they need not alternate.
        await source.fill(share, isOut(source) ? wanted : size);
      } catch (error) {
        source.failure = failureReason(error);
      }
    }),
  );
}

function sorted(runs: readonly MergedRun[], order: RunOrder): MergedRun[] {
  return runs.toSorted((a, b) => {
    const [idA, idB] = [a.source.subsystem.id, b.source.subsystem.id];
    return compareKeys(order, a.run, b.run) || (idA === idB ? 0 : idA < idB ? -1 : 1);
  });
}
