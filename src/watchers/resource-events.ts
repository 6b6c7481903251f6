import type { Resource } from './resource.js';

/** A stored change of a resource. Emitted after the database has it; coalesced by the resource's id. */
export interface ResourceChanged {
  readonly resource: Resource;
}

declare module '../realtime/bus/event-map.js' {
  interface EventMap {
    'resource.changed': ResourceChanged;
  }
}
