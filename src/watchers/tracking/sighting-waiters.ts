import { Injectable } from '@nestjs/common';
import type { Sighting, TrackedResource } from './tracked-resources.js';

type Check = (resource: TrackedResource, sighting: Sighting) => void;

/** Who waits for a state of a resource. Told of every sighting, also of those that change nothing. */
@Injectable()
export class SightingWaiters {
  private readonly waiting = new Map<string, Set<Check>>();

  /** Waiters that have not been answered: 0 after all were answered or gave up. */
  get size(): number {
    return [...this.waiting.values()].reduce((sum, checks) => sum + checks.size, 0);
  }

  /** Resolves with the first defined answer of `decide`; rejects with the signal's reason. */
  wait<T>(
    resourceId: string,
    decide: (resource: TrackedResource, sighting: Sighting) => T | undefined,
    signal: AbortSignal,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      const checks = this.waiting.get(resourceId) ?? new Set<Check>();
      this.waiting.set(resourceId, checks);
      const leave = (): void => {
        checks.delete(check);
        if (checks.size === 0 && this.waiting.get(resourceId) === checks) this.waiting.delete(resourceId);
        signal.removeEventListener('abort', onAbort);
      };
      const onAbort = (): void => {
        leave();
        reject(signal.reason as Error);
      };
      const check: Check = (resource, sighting) => {
        const answer = decide(resource, sighting);
        if (answer === undefined) return;
        leave();
        resolve(answer);
      };
      checks.add(check);
      signal.addEventListener('abort', onAbort, { once: true });
    });
  }

  /** Tells the waiters of a resource that its object was seen so, and that the database has what follows from it. */
  sighted(resource: TrackedResource, sighting: Sighting): void {
    resource.lastSighting = sighting;
    this.recheck(resource);
  }

  /** Asks again after the stored document has changed. */
  recheck(resource: TrackedResource): void {
    if (resource.lastSighting === null) return;
    for (const check of this.waiting.get(resource.id) ?? []) check(resource, resource.lastSighting);
  }
}
