import { Injectable } from '@nestjs/common';

/** What the probes tell, and what new work is refused by. */
@Injectable()
export class Readiness {
  private current: 'starting' | 'ready' | 'draining' = 'starting';

  get state(): 'starting' | 'ready' | 'draining' {
    return this.current;
  }

  /** Does nothing once draining began: a late start never takes a shutdown back. */
  markReady(): void {
    if (this.current === 'starting') this.current = 'ready';
  }

  markDraining(): void {
    this.current = 'draining';
  }
}
