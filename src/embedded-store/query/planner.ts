import { badValue } from '../command-error.js';
import type { Collection } from '../storage/collection.js';
import type { KeyField } from '../storage/index-keys.js';
import type { StoredIndex } from '../storage/stored-index.js';
import { type Bounds, boundsOf, combine, keyRange } from './bounds.js';
import { valuesEqual } from './bson-compare.js';
import { isDoc } from './bson-types.js';
import { type FilterNode, type Leaf, conjuncts } from './filter.js';
import { implies } from './implication.js';

/** A stretch of an index (`from <= key < to`), or without an index all documents in their natural order. */
export interface Segment {
  readonly index: StoredIndex | undefined;
  readonly from: Buffer;
  readonly to: Buffer;
  /** One value of a unique index. */
  readonly hasOneEntry?: boolean;
}

export interface Plan {
  readonly segments: readonly Segment[];
  /** Whether walking gives the sort's order: over all segments, within each one, or not at all. */
  readonly order: 'all' | 'each' | 'none';
  readonly isReverse: boolean;
  /** A document may come more than once. */
  readonly mayRepeat: boolean;
  /** The segments hold exactly the matches; the filter need not be asked. */
  readonly isExact: boolean;
}

const NOTHING = Buffer.alloc(0);
const END = Buffer.from([0xff]);
const WHOLE = { from: NOTHING, to: END };
/** More points than these are not worth their walks: the index is then bounded by fewer fields. */
const MAX_SEGMENTS = 5000;
const MAX_SORTED_SEGMENTS = 200;

interface Candidate {
  readonly plan: Plan;
  readonly score: number;
}

function usable(index: StoredIndex, filter: FilterNode, leaves: readonly Leaf[]): boolean {
  if (index.partial && !implies(filter, index.partial)) return false;
  if (index.spec.sparse !== true) return true;
  // A sparse index lacks documents without its fields: some condition must rule those out.
  return leaves.some((leaf) => index.fields.some(({ path }) => path === leaf.path) && !leaf.test({}));
}

/** Whether the index gives the sort's order from field `start` on, and in which direction. */
function sortDirection(index: StoredIndex, start: number, sort: readonly KeyField[]): 1 | -1 | undefined {
  let direction: 1 | -1 | undefined;
  for (const [i, { path, direction: wanted }] of sort.entries()) {
    const field = index.fields[start + i];
    if (!field || field.path !== path) return undefined;
    const relative = field.direction === wanted ? 1 : -1;
    if (direction !== undefined && direction !== relative) return undefined;
    direction = relative;
  }
  return direction ?? 1;
}

function candidate(
  index: StoredIndex,
  filter: FilterNode,
  leaves: readonly Leaf[],
  sort: readonly KeyField[],
  hasLimit: boolean,
): Candidate | undefined {
  if (!usable(index, filter, leaves)) return undefined;
  let prefixes: Buffer[] = [NOTHING];
  let ranges: Array<{ from: Buffer; to: Buffer }> | undefined;
  let isExact = true;
  let usedLeaves = 0;
  let points = 0;
  let singles = 0;
  let arrayIsBounded = false;
  for (const [i, field] of index.fields.entries()) {
    const here = leaves.filter((leaf) => leaf.path === field.path);
    const all = here.map(boundsOf).filter((bounds): bounds is Bounds => bounds !== undefined);
    const isMultikey = index.multikey.has(i);
    // Two conditions may be met by two elements of an array, so only one of them may bound the walk.
    if (all.length === 0 || (isMultikey && arrayIsBounded)) break;
    const bounds = isMultikey ? (all.find((each) => each.arePoints) ?? all[0]) : combine(all);
    if (!bounds || prefixes.length * bounds.intervals.length > MAX_SEGMENTS) break;
    arrayIsBounded ||= isMultikey;
    isExact &&= bounds.isExact && !isMultikey && all.length === here.length;
    usedLeaves += here.length;
    ranges = prefixes.flatMap((prefix) =>
      bounds.intervals.map((interval) => keyRange(prefix, interval, field.direction)),
    );
    if (!bounds.arePoints) break;
    prefixes = ranges.map(({ from }) => from);
    points++;
    if (prefixes.length === 1) singles++;
  }
  const walked = (ranges ?? [WHOLE])
    .filter(({ from, to }) => from.compare(to) < 0)
    .sort((a, b) => a.from.compare(b.from));
  const fixed = new Set(index.fields.slice(0, singles).map(({ path }) => path));
  const rest = sort.filter(({ path }) => !fixed.has(path));
  const { order, direction } = orderOf(index, rest, { singles, points, segments: walked.length, arrayIsBounded });
  const isBounded = ranges !== undefined;
  const isSorted = sort.length > 0 && order !== 'none' && (order === 'all' || hasLimit);
  if (!isBounded && !isSorted) return undefined;
  const isUnique = index.spec.unique === true;
  const isUniquePoint = isUnique && singles === index.fields.length;
  const hasOneEntry = isUnique && points === index.fields.length;
  const score =
    (isUniquePoint ? 1000 : 0) +
    points * 10 +
    (isBounded && ranges?.length && points === 0 ? 5 : 0) +
    (isBounded && points > 0 && usedLeaves > points ? 4 : 0) +
    (isSorted ? (hasLimit ? 12 : 6) : 0);
  const plan: Plan = {
    segments: walked.map(({ from, to }) => ({ index, from, to, hasOneEntry })),
    order: sort.length === 0 ? 'all' : isSorted ? order : 'none',
    isReverse: isSorted && direction === -1,
    mayRepeat: index.multikey.size > 0,
    isExact: isExact && usedLeaves === conjuncts(filter).length && index.multikey.size === 0,
  };
  return { plan, score };
}

function orderOf(
  index: StoredIndex,
  sort: readonly KeyField[],
  walk: { singles: number; points: number; segments: number; arrayIsBounded: boolean },
): { order: Plan['order']; direction: 1 | -1 } {
  // The order of an array field is by its least element overall, which a bounded walk may not see.
  const touchesArray = sort.some(({ path }) =>
    index.fields.some((field, i) => field.path === path && index.multikey.has(i)),
  );
  if (walk.arrayIsBounded && touchesArray) return { order: 'none', direction: 1 };
  for (let start = walk.singles; start <= walk.points; start++) {
    const direction = sortDirection(index, start, sort);
    if (direction === undefined) continue;
    if (start === walk.singles || walk.segments <= 1) return { order: 'all', direction };
    if (start === walk.points && walk.segments <= MAX_SORTED_SEGMENTS) return { order: 'each', direction };
  }
  return { order: 'none', direction: 1 };
}

export const NATURAL: Plan = {
  segments: [{ index: undefined, from: NOTHING, to: NOTHING }],
  order: 'none',
  isReverse: false,
  mayRepeat: false,
  isExact: false,
};

function unionPlan(collection: Collection, filter: FilterNode, sort: readonly KeyField[]): Plan | undefined {
  const either = conjuncts(filter).find((node) => node.kind === 'or');
  if (either?.kind !== 'or') return undefined;
  const plans = either.children.map((child) => best(collection, child, [], false));
  if (plans.some((plan) => !plan)) return undefined;
  const segments = plans.flatMap((plan) => plan?.segments ?? []);
  return { segments, order: sort.length === 0 ? 'all' : 'none', isReverse: false, mayRepeat: true, isExact: false };
}

function best(
  collection: Collection,
  filter: FilterNode,
  sort: readonly KeyField[],
  hasLimit: boolean,
  only?: StoredIndex,
): Plan | undefined {
  const leaves = conjuncts(filter).filter((node): node is Leaf => node.kind === 'leaf');
  let winner: Candidate | undefined;
  for (const index of only ? [only] : collection.indexes) {
    const found = candidate(index, filter, leaves, sort, hasLimit);
    if (found && (!winner || found.score > winner.score)) winner = found;
  }
  return winner?.plan;
}

function hinted(collection: Collection, hint: unknown): StoredIndex {
  const index = collection.indexes.find(({ spec }) =>
    typeof hint === 'string'
      ? spec.name === hint
      : isDoc(hint) && valuesEqual({ ...spec.key }, hint) && Object.keys(hint).join() === Object.keys(spec.key).join(),
  );
  if (!index) throw badValue('hint provided does not correspond to an existing index');
  return index;
}

/** Chooses the walk that examines least: unique keys, then the order of a limited sort and the number of bounded fields. */
export function planQuery(
  collection: Collection,
  filter: FilterNode,
  sort: readonly KeyField[] = [],
  hasLimit = false,
  hint?: unknown,
): Plan {
  const isEverything = filter.kind === 'and' && filter.children.length === 0;
  const isNaturalHint = isDoc(hint) && '$natural' in hint;
  const only =
    hint === undefined || isNaturalHint || (isDoc(hint) && Object.keys(hint).length === 0)
      ? undefined
      : hinted(collection, hint);
  const plan = isNaturalHint
    ? undefined
    : (best(collection, filter, sort, hasLimit, only) ?? unionPlan(collection, filter, sort));
  return plan ?? { ...NATURAL, order: sort.length === 0 ? 'all' : 'none', isExact: isEverything };
}
