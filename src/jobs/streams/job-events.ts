import type { Job } from '../job.js';

/** A stored change of a job. Emitted after the database has it; coalesced by the job's id. */
export interface JobChanged {
  readonly job: Job;
}

/** Jobs can be claimed that could not before. A hint: who misses it finds them by the slow poll. */
export interface JobsQueued {
  readonly lanes: readonly string[];
}

declare module '../../realtime/bus/event-map.js' {
  interface EventMap {
    'job.changed': JobChanged;
    'jobs.queued': JobsQueued;
  }
}
