/** The one order of the process over all keys: of changes, and of the begins of snapshot reads. */
export class EventOrder {
  private sequence = 0;

  /** The newest place that was given away, 0 at first. */
  get newest(): number {
    return this.sequence;
  }

  next(): number {
    this.sequence += 1;
    return this.sequence;
  }
}
