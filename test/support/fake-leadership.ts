import type { Leadership } from '../../src/realtime/bus/leadership.js';

/** Leadership that a test wins and loses. */
export class FakeLeadership implements Leadership {
  isLeader = false;
  private readonly listeners = new Set<(isLeader: boolean) => void>();

  onChange(listener: (isLeader: boolean) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Who listens: 0 after everything was stopped. */
  get listening(): number {
    return this.listeners.size;
  }

  change(isLeader: boolean): void {
    if (this.isLeader === isLeader) return;
    this.isLeader = isLeader;
    queueMicrotask(() => {
      for (const listener of this.listeners) listener(isLeader);
    });
  }
}
