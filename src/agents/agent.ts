/** What an admin says of it. A revoked agent may do nothing, whatever its health. */
export const AGENT_STATUSES = ['active', 'revoked'] as const;
export type AgentStatus = (typeof AGENT_STATUSES)[number];

/** What is seen of it: `unknown` until its first heartbeat. */
export const AGENT_HEALTHS = ['unknown', 'online', 'offline'] as const;
export type AgentHealth = (typeof AGENT_HEALTHS)[number];

export interface Agent {
  readonly id: string;
  /** `*` for an agent of the platform, which works for any tenant. */
  readonly tenantId: string;
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly status: AgentStatus;
  /** False for one that is being drained: it keeps what it has and gets nothing more. */
  readonly schedulable: boolean;
  readonly health: AgentHealth;
  readonly healthSince: string;
  readonly lastSeenAt: string;
  /** As it told, by a measure of its own. */
  readonly load: number | null;
  /** Of the agent's program. */
  readonly agentVersion: string | null;
  readonly credentials: ReadonlyArray<{
    readonly id: string;
    readonly createdAt: string;
    readonly firstUsedAt: string | null;
    /** Null: until another is issued. */
    readonly endsAt: string | null;
  }>;
  readonly version: number;
  readonly createdAt: string;
  readonly updatedAt: string;
  readonly createdBy: string;
}
