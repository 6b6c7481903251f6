import type { UndecodedListRunsResponse } from '../gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { FailureReason } from '../routing/answer.js';
import { MAX_PAGE_LIMIT } from '../routing/limits.js';
import type { CursorPlace, ListedUpTo, SubsystemPlace } from './run-cursor.js';
import { type RunOrder, compareKeys } from './run-order.js';
import { type RunKey, type UndecodedRun, readUndecodedRun } from './undecoded-run.js';

/** What is asked of a subsystem, the same for all its pages. */
export interface ListQuestion {
  readonly order: RunOrder;
  ask(cursor: string, limit: number): Promise<UndecodedListRunsResponse>;
  /** Whether the run matches the filter: an engine may ignore some of it. undefined: there is no filter. */
  readonly matches?: ((run: Uint8Array) => boolean) | undefined;
}

interface Page {
  readonly cursor: string;
  readonly runs: readonly UndecodedRun[];
  /** How many at its beginning were listed before. */
  readonly start: number;
  /** The run before its first. */
  readonly before: SubsystemPlace['last'];
}

/** Calls to one subsystem for one page of ours; what is not read by then is left to the next page. */
const MOST_CALLS = 8;
const LONGEST_CURSOR = 16_384;

/**
 * The runs of one subsystem from a place on, page by page. A page is read again, from the cursor that it began with, to
 * go on within it. Engines count pages from the newest run (FlowWatch's own cursor is an offset), so runs that arrive
 * meanwhile move it: then the last run listed is looked for and all up to it is dropped.
 */
export class ListSource {
  /** Why nothing more comes of it for this page of ours. Its place is kept. */
  failure: FailureReason | undefined;
  /** The place was lost: runs may be missing. */
  lostPlace = false;
  /** It gave a run more than once, which is listed once. */
  repeats = false;
  private readonly pages: Page[] = [];
  private readonly taken = new Set<string>();
  private position = 0;
  private nextCursor: string | undefined;
  private reread: number;
  private last: SubsystemPlace['last'];
  private floor: ListedUpTo | undefined;
  private unordered: boolean;
  private searching = false;
  private asked = 0;
  private answered = false;
  private counted: number | undefined;
  private mismatches = false;

  constructor(
    readonly subsystem: Subsystem,
    private readonly question: ListQuestion,
    private readonly from: SubsystemPlace,
  ) {
    this.nextCursor = from.cursor;
    this.reread = from.taken;
    this.last = from.last;
    this.floor = from.floor;
    this.unordered = from.unordered ?? false;
  }

  /** The next run; undefined if none is there, or none yet. */
  get head(): UndecodedRun | undefined {
    for (;;) {
      const page = this.pages[0];
      if (!page) return undefined;
      const run = page.runs[this.position];
      if (run && this.taken.has(run.id)) this.repeats = true;
      else if (run && (this.question.matches?.(run.bytes) ?? true)) return run;
      else if (run) this.mismatches = true;
      this.pass();
    }
  }

  /** Goes on behind `head`. */
  take(): void {
    const { head } = this;
    if (head) this.taken.add(head.id);
    this.pass();
  }

  private pass(): void {
    this.position += 1;
    if (this.position >= (this.pages[0]?.runs.length ?? 0)) {
      this.pages.shift();
      this.position = this.pages[0]?.start ?? 0;
    }
  }

  /** Runs that are read and not taken. */
  get buffered(): number {
    return this.pages.reduce((sum, { runs, start }, i) => sum + runs.length - (i === 0 ? this.position : start), 0);
  }

  /** Whether a call may give more. */
  get hasMore(): boolean {
    return this.nextCursor !== undefined && this.failure === undefined;
  }

  /** More may come, but not for this page of ours. */
  get isSpent(): boolean {
    return this.asked >= MOST_CALLS;
  }

  /** All runs that match the filter, if it says: an engine may give the length of the page for it. */
  get total(): number | undefined {
    return this.mismatches || this.repeats ? undefined : this.counted;
  }

  /**
   * Where the next page of ours goes on.
   *
   * @param upTo How far the list has come: if nothing of this one was touched, it goes on behind that.
   */
  placeAfter(upTo: ListedUpTo | undefined): CursorPlace {
    if (!this.answered) return this.from;
    const page = this.pages[0];
    const cursor = page?.cursor ?? this.nextCursor;
    if (cursor === undefined) return { finished: true, total: this.total };
    const before = page?.runs[this.position - 1];
    const last = before ? lastOf(before) : page ? page.before : this.last;
    if (last || cursor !== '') {
      return { cursor, taken: page ? this.position : 0, last, floor: this.floor, unordered: this.unordered };
    }
    const { head } = this;
    const isBehindAll = head !== undefined && upTo && isBehind(this.question.order, head, this.subsystem.id, upTo);
    return isBehindAll ? { cursor, taken: 0, floor: upTo } : this.from;
  }

  /**
   * Reads on until so many runs are there, or no more come.
   *
   * @param size Runs per call.
   * @throws what `ask` throws; Error if the answer is not usable. The place is as it was then.
   */
  async fill(atLeast: number, size: number): Promise<void> {
    while (this.hasMore && !this.isSpent && this.buffered < atLeast) await this.read(this.nextCursor ?? '', size);
  }

  private async read(cursor: string, size: number): Promise<void> {
    const { order } = this.question;
    this.asked += 1;
    const { runs: read, pagination } = await this.question.ask(cursor, this.callSize(size));
    // The page is being made without it by now.
    if (this.failure !== undefined) return;
    const runs = read.map((bytes) => readUndecodedRun(bytes, order.field));
    const next = pagination?.nextCursor ?? '';
    if (next.length > LONGEST_CURSOR || (next !== '' && next === cursor)) throw new RangeError('an unusable cursor');
    this.unordered ||= runs.some((run, i) => i > 0 && compareKeys(order, runs[i - 1] ?? run, run) > 0);
    const start = this.passed(runs);
    if (start < runs.length) {
      if (this.pages.length === 0) this.position = start;
      this.pages.push({ cursor, runs, start, before: this.last });
    }
    const final = runs.at(-1);
    if (final && !this.searching && !this.floor) this.last = lastOf(final);
    this.counted = totalOf(cursor, next, runs.length, pagination?.totalCount ?? 0);
    this.nextCursor = next === '' ? undefined : next;
    if (next === '' && this.searching) this.lostPlace = true;
    this.reread = 0;
    this.answered = true;
  }

  /**
   * A page is read again with what is wanted behind the place; but from time to time just up to the place, so that the
   * next page begins there and ever longer ones are not read again.
   */
  private callSize(size: number): number {
    if (this.floor || this.searching) return MAX_PAGE_LIMIT;
    if (this.reread === 0) return size;
    const whole = this.reread + size;
    return this.reread <= 2 * size && whole <= MAX_PAGE_LIMIT ? whole : this.reread;
  }

  /** How many runs at the beginning of the page were listed before. */
  private passed(runs: readonly UndecodedRun[]): number {
    const { order } = this.question;
    const { floor, last } = this;
    if (floor) {
      const start = leading(runs, (run) => !isBehind(order, run, this.subsystem.id, floor));
      if (start < runs.length) this.floor = undefined;
      return start;
    }
    const first = runs[0];
    if (!last || !first) return 0;
    const found = runs.findIndex(({ id }) => id === last.runId);
    if (found >= 0) return this.found(found + 1, false);
    const isNext = this.reread === 0 && !this.searching;
    if (this.unordered) return isNext ? 0 : this.search(runs.length);
    if (this.reread === 0 && compareKeys(order, first, last) >= 0) return this.found(0, this.searching);
    const start = leading(runs, (run) => compareKeys(order, run, last) <= 0);
    return start < runs.length ? this.found(start, true) : this.search(start);
  }

  private found(start: number, byKey: boolean): number {
    this.searching = false;
    this.lostPlace ||= byKey;
    return start;
  }

  private search(start: number): number {
    this.searching = true;
    return start;
  }
}

/** Whether the run comes after all that was listed before a subsystem was: those have the key or less. */
export function isBehind(order: RunOrder, run: RunKey, subsystemId: string, upTo: ListedUpTo): boolean {
  const compared = compareKeys(order, run, upTo);
  return compared > 0 || (compared === 0 && subsystemId > upTo.subsystemId);
}

/** undefined unless it is one: FlowWatch's own engine says how many are on the page, and others say nothing. */
function totalOf(cursor: string, next: string, onPage: number, said: number): number | undefined {
  if (cursor === '' && next === '') return onPage;
  return said > onPage ? said : undefined;
}

function leading<T>(items: readonly T[], test: (item: T) => boolean): number {
  const end = items.findIndex((item) => !test(item));
  return end < 0 ? items.length : end;
}

function lastOf({ id, major, minor }: UndecodedRun): NonNullable<SubsystemPlace['last']> {
  return { runId: id, major, minor };
}
