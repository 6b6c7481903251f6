import type { EventEmitter } from 'node:events';

/** Puts `handle` in the place of the emitter's own listeners of an event. They are returned as one. */
export function takeOver<A extends unknown[]>(
  emitter: EventEmitter,
  event: string,
  handle: (...given: A) => void,
): (...given: A) => void {
  const own = emitter.listeners(event) as Array<(...given: A) => void>;
  emitter.removeAllListeners(event);
  emitter.on(event, handle as (...given: unknown[]) => void);
  return (...given) => {
    for (const each of own) each.apply(emitter, given);
  };
}
