import type { Agent } from './agent.js';

/** A stored change, heartbeats aside. Coalesced by the agent's id. */
export interface AgentChanged {
  readonly agent: Agent;
  readonly change: 'registered' | 'updated' | 'revoked' | 'rotated' | 'online' | 'offline' | 'removed';
}

declare module '../realtime/bus/event-map.js' {
  interface EventMap {
    'agent.changed': AgentChanged;
  }
}
