import type { Run } from './workflow.js';

/** A stored change of a run. Emitted after the database has it; coalesced by the run's id. */
export interface RunChanged {
  readonly run: Run;
}

declare module '../realtime/bus/event-map.js' {
  interface EventMap {
    'run.changed': RunChanged;
  }
}
