import { Injectable } from '@nestjs/common';
import { SYSTEM_SCOPE } from '../../auth/principal.js';
import { Registration } from './registration.js';
import { RegistryCounters } from './registry-counters.js';
import type { SubsystemState } from './subsystem-directory.js';
import { SubsystemAnnouncer } from './subsystem-announcer.js';
import { SubsystemRegistry } from './subsystem-registry.js';
import type { SubsystemView } from './subsystem-view.js';

export interface RegistryFigures {
  readonly states: Readonly<Record<SubsystemState, number>>;
  /** Open registration streams, also those that have not registered yet. */
  readonly streams: number;
  readonly accepted: number;
  /** By the code of the error. */
  readonly refused: ReadonlyMap<string, number>;
  /** Each with its state, instances, last beat and round-trip time. */
  readonly subsystems: readonly SubsystemView[];
}

/** What the metrics tell of the registry. */
@Injectable()
export class RegistryFiguresReader {
  constructor(
    private readonly registry: SubsystemRegistry,
    private readonly registration: Registration,
    private readonly counters: RegistryCounters,
    private readonly announcer: SubsystemAnnouncer,
  ) {}

  registryFigures(): RegistryFigures {
    const subsystems = this.registry.list(SYSTEM_SCOPE).map((subsystem) => this.announcer.viewOf(subsystem));
    const states = { connecting: 0, connected: 0, stale: 0 };
    for (const { state } of subsystems) states[state] += 1;
    return { states, streams: this.registration.streams, ...this.counters.totals, subsystems };
  }
}
