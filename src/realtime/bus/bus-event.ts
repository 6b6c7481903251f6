import type { EventMap, EventType } from './event-map.js';

/** An event as subscribers get it: a union over `T`, so that `type` narrows `payload`. Immutable. */
export type BusEvent<T extends EventType = EventType> = {
  [K in T]: {
    readonly type: K;
    readonly payload: EventMap[K];
    /** Order of publication, from 1, without gaps for the whole bus. */
    readonly sequence: number;
    /** Milliseconds since the epoch, when it was published. */
    readonly timestamp: number;
    /** Present if the event is a state: a later event with this key makes it superfluous. */
    readonly coalesceKey?: string;
  };
}[T];
