import type { ListRunsRequest } from '../gen/flowwatch/v1/run_service_pb.js';
import { invalidArgument } from '../input/invalid-argument.js';
import type { RunKey, RunKeyField } from './undecoded-run.js';

/** Names of `order_by`, as the fields of `flowwatch.v1.Run`, with their numbers. */
const FIELDS: Readonly<Record<string, RunKeyField>> = {
  started_at: { number: 8, kind: 'time' },
  finished_at: { number: 9, kind: 'time' },
  duration: { number: 10, kind: 'time' },
  status: { number: 4, kind: 'number' },
  workflow_id: { number: 2, kind: 'text' },
  foreign_id: { number: 3, kind: 'text' },
  current_step: { number: 5, kind: 'text' },
  subsystem_id: { number: 6, kind: 'text' },
  id: { number: 1, kind: 'text' },
};
const DEFAULT = 'started_at';

/**
 * What runs are ordered by. Runs without the time or duration that orders them are lowest: first when ascending, last
 * when descending, as in Go, whose zero time is the first of all. Text is in the order of its UTF-8 bytes.
 */
export interface RunOrder {
  readonly name: string;
  readonly descending: boolean;
  readonly field: RunKeyField;
}

/**
 * The order that a request asks for; without `order_by` the newest first, whatever `descending` says, since on the wire
 * false is as good as unsaid.
 *
 * @throws ConnectError `invalid_argument` for an unknown `order_by`, naming the known.
 */
export function runOrder({ orderBy, descending }: Pick<ListRunsRequest, 'orderBy' | 'descending'>): RunOrder {
  const name = orderBy === '' ? DEFAULT : orderBy;
  const field = Object.hasOwn(FIELDS, name) ? FIELDS[name] : undefined;
  if (!field) {
    throw invalidArgument({ field: 'order_by', description: `must be one of ${Object.keys(FIELDS).join(', ')}` });
  }
  return { name, descending: orderBy === '' || descending, field };
}

/** Negative if `a` comes before `b`, 0 if the order does not tell them apart. */
export function compareKeys({ descending }: RunOrder, a: RunKey, b: RunKey): number {
  const ascending = compareMajor(a.major, b.major) || a.minor - b.minor;
  return descending ? -ascending : ascending;
}

function compareMajor(a: number | string, b: number | string): number {
  if (a === b) return 0;
  if (typeof a === 'string' && typeof b === 'string') return compareText(a, b);
  return a < b ? -1 : 1;
}

/** As their UTF-8 bytes compare. That of UTF-16 differs: surrogates, U+D800 and up, stand for what is above U+FFFF. */
export function compareText(a: string, b: string): number {
  for (let i = 0; i < a.length && i < b.length; i += 1) {
    const [unitA, unitB] = [a.charCodeAt(i), b.charCodeAt(i)];
    if (unitA !== unitB) return rank(unitA) - rank(unitB);
  }
  return a.length - b.length;
}

const rank = (unit: number): number => (unit < 0xd800 ? unit : unit < 0xe000 ? unit + 0x10000 : unit - 0x800);
