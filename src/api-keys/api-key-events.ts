import type { StoredApiKey } from './api-key.document.js';

/** A stored change. */
export interface ApiKeyChanged {
  readonly apiKey: StoredApiKey;
  readonly change: 'created' | 'revoked';
}

declare module '../realtime/bus/event-map.js' {
  interface EventMap {
    'api-key.changed': ApiKeyChanged;
  }
}
