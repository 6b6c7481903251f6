import type { Resource } from './resource.js';

/** A stored change of a resource. Emitted after the database has it; coalesced by the resource's id. */
export interface ResourceChanged {
  readonly resource: Resource;
}

/** A resource was removed with its history. Emitted after the database has let go of it. */
export interface ResourceRemoved {
  readonly resourceId: string;
}

declare module '../realtime/bus/event-map.js' {
  interface EventMap {
    'resource.changed': ResourceChanged;
    'resource.removed': ResourceRemoved;
  }
}
