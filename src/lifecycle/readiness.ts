import { Injectable } from '@nestjs/common';

/** What the probes tell, and what new work is refused by. */
@Injectable()
export class Readiness {
  private current: 'starting' | 'ready' | 'draining' = 'starting';
  private readonly listeners = new Set<() => void>();

  get state(): 'starting' | 'ready' | 'draining' {
    return this.current;
  }

  /** Does nothing once draining began: a late start never takes a shutdown back. */
  markReady(): void {
    if (this.current === 'starting') this.become('ready');
  }

  markDraining(): void {
    if (this.current !== 'draining') this.become('draining');
  }

  /** Tells each change, after it has happened, until the returned function is called. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private become(state: 'ready' | 'draining'): void {
    this.current = state;
    for (const listener of this.listeners) listener();
  }
}
