import type { EventMap, EventType } from './event-map.js';

/** An event as subscribers get it: a union over `T`, so that `type` narrows `payload`. Immutable. */
export type BusEvent<T extends EventType = EventType> = {
  [K in T]: {
    readonly type: K;
    readonly payload: EventMap[K];
    /** Order of publication, from 1, without gaps for the whole bus. */
    readonly sequence: number;
    /** Milliseconds since the epoch, when it was published; the same for a burst within one turn. */
    readonly timestamp: number;
    /** Present if the event is a state: a later event of this type with this key makes it superfluous. */
    readonly coalesceKey?: string | undefined;
    /** True of the last event of its key: there is no state any more. */
    readonly tombstone?: boolean | undefined;
  };
}[T];

export interface PublishOptions {
  /** Makes the event a state, superseded by the next one of the type with this key. */
  readonly coalesceKey?: string;
  /** Says that the thing behind the key is gone: its retained state is forgotten. */
  readonly tombstone?: boolean;
}
