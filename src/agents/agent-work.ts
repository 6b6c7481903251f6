import { Injectable } from '@nestjs/common';

/** A job that an agent says it has. */
export interface WorkEntry {
  readonly jobId: string;
  readonly token: string;
  readonly progress?: { readonly percent: number; readonly message?: string | undefined } | undefined;
}

export interface RenewedWork {
  readonly renewed: ReadonlyArray<{ readonly id: string; readonly expiresInMs: number }>;
  /** The agent does not have them any more. */
  readonly lost: readonly string[];
  /** Still its jobs, which it is asked to stop. */
  readonly cancel: readonly string[];
}

/** Port: what agents have of a room to the right, which registers itself at `AgentWork`. */
export interface WorkLeases {
  /** How long an agent has a job without a heartbeat, milliseconds. */
  readonly leaseMs: number;
  renew(agent: { readonly id: string }, entries: readonly WorkEntry[]): Promise<RenewedWork>;
  /** Takes everything from an agent that is gone. Returns how much that was. */
  releaseAll(agentId: string, reason: 'agent_offline' | 'agent_removed'): Promise<number>;
}

/** Where heartbeats and removals find the leases. */
@Injectable()
export class AgentWork implements WorkLeases {
  private leases: WorkLeases | undefined;

  register(leases: WorkLeases): void {
    if (this.leases) throw new Error('somebody keeps the leases already');
    this.leases = leases;
  }

  get leaseMs(): number {
    return this.leases?.leaseMs ?? Number.POSITIVE_INFINITY;
  }

  async renew(agent: { readonly id: string }, entries: readonly WorkEntry[]): Promise<RenewedWork> {
    if (this.leases) return this.leases.renew(agent, entries);
    return { renewed: [], lost: entries.map(({ jobId }) => jobId), cancel: [] };
  }

  async releaseAll(agentId: string, reason: 'agent_offline' | 'agent_removed'): Promise<number> {
    return this.leases ? this.leases.releaseAll(agentId, reason) : 0;
  }
}
