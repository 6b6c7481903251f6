/** `coveredBy` of an event that no snapshot showed before it was published. */
export const NOT_COVERED = Number.POSITIVE_INFINITY;

/** A change on its way to the clients of one channel. Its bytes are made once, whoever reads it. */
export interface ChannelEvent {
  /** Its place in the one order of the process. */
  readonly sequence: number;
  /** What it is the state of. */
  readonly entity: string;
  readonly version: number;
  /** Nothing follows under its stream key. */
  readonly final: boolean;
  /** Empty once the channel has gone cold. */
  frame: Buffer;
  /** Begin of the first snapshot read that shows it: who was given that snapshot, or a later one, has it already. */
  coveredBy: number;
  /** A later event brought a newer state of the entity. */
  superseded: boolean;
  /** Whoever keeps it beyond the ring. */
  readonly keeper: EventKeeper;
}

export interface EventKeeper {
  /** The ring lets go of the event, the oldest of this keeper that it had. */
  release(event: ChannelEvent): void;
}

/** Events as one buffer. */
export interface EventBatch {
  readonly bytes: Buffer;
  readonly count: number;
  /** Sequence of the last one. */
  readonly upTo: number;
}

/** Events that wait together are written as one buffer up to this size. */
export const BATCH_BYTES = 16 * 1_024;
