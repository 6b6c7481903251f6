/** A turn is over after so many units of work, or this much time. */
const MAX_UNITS = 256;
const MAX_MS = 2;

/** Work of many small units, done in slices: between them the process does whatever else is due. */
export type SlicedWork = Iterator<unknown>;

/** Does sliced work, one after the other, in turns that stay short. */
export class TurnQueue {
  private readonly waiting: SlicedWork[] = [];
  private scheduled = false;

  constructor(
    private readonly now: () => number,
    private readonly onError: (error: unknown) => void,
  ) {}

  /** Begins at the end of this turn. A work that throws is over; the others go on. */
  add(work: SlicedWork): void {
    this.waiting.push(work);
    this.schedule();
  }

  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.turn();
      if (this.waiting.length > 0) this.schedule();
    });
  }

  private turn(): void {
    const end = this.now() + MAX_MS;
    for (let unit = 1; unit <= MAX_UNITS; unit += 1) {
      const [work] = this.waiting;
      if (!work) return;
      if (this.isDone(work)) this.waiting.shift();
      // Looking at the clock costs as much as a unit of the smallest work.
      if (unit % 16 === 0 && this.now() >= end) return;
    }
  }

  private isDone(work: SlicedWork): boolean {
    try {
      return work.next().done === true;
    } catch (error) {
      this.onError(error);
      return true;
    }
  }
}
