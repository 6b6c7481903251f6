import { Injectable } from '@nestjs/common';
import type { Runnable } from '../runtime/runnable.js';
import type { Phase } from './phases.js';

/** Where rooms register what runs in the background. `Lifecycle` alone starts and stops it. */
@Injectable()
export class LifecycleRegistry {
  private readonly runnables = new Map<Phase, Runnable[]>();

  register(phase: Phase, runnable: Runnable): void {
    const registered = this.runnables.get(phase) ?? [];
    this.runnables.set(phase, [...registered, runnable]);
  }

  of(phase: Phase): readonly Runnable[] {
    return this.runnables.get(phase) ?? [];
  }
}
