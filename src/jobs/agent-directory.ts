/** What the queue knows of an agent. */
export interface AgentIdentity {
  readonly id: string;
  /** `*` for an agent of the platform. */
  readonly tenantId: string;
  readonly labels: Readonly<Record<string, string>>;
  /** False for one that is being drained: it keeps what it has and gets nothing more. */
  readonly schedulable: boolean;
}

/** Port: the agents. */
export interface AgentDirectory {
  /** Null if there is no such agent, or it is revoked. */
  find(agentId: string): Promise<AgentIdentity | null>;
  /** Of these, the ones that are gone for good or offline: their leases are released before they run out. */
  gone(agentIds: readonly string[]): Promise<ReadonlySet<string>>;
}

/** Injection token. */
export const AGENT_DIRECTORY = Symbol('agent directory');
