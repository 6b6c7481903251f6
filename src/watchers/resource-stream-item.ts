import type { StreamItem } from '../realtime/streams/stream-topic.js';
import type { Resource } from './resource.js';

/** A resource as a stream carries it: `node_update` on its workflow's key, `status_update` on its own. */
export function streamItem(eventType: 'node_update' | 'status_update', resource: Resource): StreamItem {
  return { eventType, entity: `resource:${resource.id}`, version: resource.version, data: resource };
}
