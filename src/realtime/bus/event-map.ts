import type { RequestEventType, RequestScattered } from './request-map.js';

/**
 * Event type to payload: the compile-time contract of the bus. Each room declares its own events beside what emits them:
 *
 *     declare module './event-map.js' {
 *       interface EventMap { 'resource.changed': ResourceChanged }
 *     }
 *
 * Payloads are immutable, JSON-safe and never carry a secret.
 */
export interface EventMap {
  /** The service is up: every phase has started. */
  'service.started': { readonly at: string };
  /** A request of the type behind the colon is asked. */
  [type: RequestEventType]: RequestScattered;
}

export type EventType = keyof EventMap;
