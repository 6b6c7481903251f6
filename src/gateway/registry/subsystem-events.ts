import type { SubsystemView } from './subsystem-view.js';

/** A subsystem has come, changed its state or what it offers, or gone. Coalesced by its id; removal is a tombstone. */
export interface SubsystemChanged {
  readonly subsystem: SubsystemView;
  readonly change: 'connected' | 'stale' | 'changed' | 'removed';
  /** Grows with every change of any subsystem. */
  readonly sequence: number;
}

declare module '../../realtime/bus/event-map.js' {
  interface EventMap {
    'subsystem.changed': SubsystemChanged;
  }
}
