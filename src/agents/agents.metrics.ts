import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, type Registry } from 'prom-client';
import { METRICS_REGISTRY } from '../metrics/index.js';
import { AGENT_HEALTHS, type AgentHealth } from './agent.js';
import type { HoldReason } from './health/agent-verdicts.js';

const HOLD_REASONS: readonly HoldReason[] = ['missed_rounds', 'most_vanished'];

@Injectable()
export class AgentsMetrics {
  private readonly byHealth: Gauge<'health'>;
  private readonly heldVerdicts: Counter<'why'>;

  constructor(@Inject(METRICS_REGISTRY) registry: Registry) {
    const registers = [registry];
    this.byHealth = new Gauge({
      name: 'crowsnest_agents',
      help: 'Agents that are not revoked, by the last look of agent-health; 0 at a process that does not lead it.',
      labelNames: ['health'],
      registers,
    });
    for (const health of AGENT_HEALTHS) this.byHealth.set({ health }, 0);
    this.heldVerdicts = new Counter({
      name: 'crowsnest_agent_verdicts_held_total',
      help: 'Rounds of agent-health that called no agent offline although some were not seen, by the reason.',
      labelNames: ['why'],
      registers,
    });
    for (const why of HOLD_REASONS) this.heldVerdicts.inc({ why }, 0);
  }

  agents(counts: Readonly<Record<AgentHealth, number>>): void {
    for (const health of AGENT_HEALTHS) this.byHealth.set({ health }, counts[health]);
  }

  held(why: HoldReason): void {
    this.heldVerdicts.inc({ why });
  }
}
