import type { Types } from 'mongoose';
import type { Random } from '../runtime/random.js';
import { newCredential } from '../auth/index.js';
import { type StoredLabel, fromStoredLabels } from '../http/index.js';
import type { Agent, AgentHealth, AgentStatus } from './agent.js';

export const AGENT_PREFIX = 'csa';

export interface StoredAgentCredential {
  /** `<agent id>-<8 hex digits>`. */
  readonly keyId: string;
  /** Of the secret. */
  readonly digest: string;
  readonly createdAt: Date;
  readonly createdBy: string;
  /** Null: nobody has come with it yet, perhaps because its answer was lost. */
  readonly firstUsedAt: Date | null;
  /** Null: until another is issued. */
  readonly endsAt: Date | null;
}

/**
 * `version` grows with what admins change. Heartbeats and the health sweep set fields of their own only, so that neither
 * undoes what the others do.
 */
export interface AgentDocument {
  readonly _id: Types.ObjectId;
  readonly tenantId: string;
  readonly name: string;
  readonly labels: readonly StoredLabel[];
  readonly status: AgentStatus;
  readonly schedulable: boolean;
  /** The newest last: at most two, or four where its registration was repeated within a minute. */
  readonly credentials: readonly StoredAgentCredential[];
  /** By the server's time, as the two below. The registration counts as seen. */
  readonly lastSeenAt: Date;
  readonly health: AgentHealth;
  readonly healthSince: Date;
  /** The round of the health sweep that changed it last. */
  readonly sweepId?: string;
  readonly load: number | null;
  readonly agentVersion: string | null;
  readonly bootstrapTokenId: Types.ObjectId;
  readonly version: number;
  readonly createdAt: Date;
  readonly updatedAt: Date;
  readonly createdBy: string;
}

export function toAgent(document: AgentDocument): Agent {
  return {
    id: document._id.toHexString(),
    tenantId: document.tenantId,
    name: document.name,
    labels: fromStoredLabels(document.labels),
    status: document.status,
    schedulable: document.schedulable,
    health: document.health,
    healthSince: document.healthSince.toISOString(),
    lastSeenAt: document.lastSeenAt.toISOString(),
    load: document.load,
    agentVersion: document.agentVersion,
    credentials: document.credentials.map(({ keyId, createdAt, firstUsedAt, endsAt }) => ({
      id: keyId,
      createdAt: createdAt.toISOString(),
      firstUsedAt: firstUsedAt?.toISOString() ?? null,
      endsAt: endsAt?.toISOString() ?? null,
    })),
    version: document.version,
    createdAt: document.createdAt.toISOString(),
    updatedAt: document.updatedAt.toISOString(),
    createdBy: document.createdBy,
  };
}

/** The agent's id stands in the key id, so that a credential is found with its agent by one read. */
export function newAgentCredential(
  agentId: Types.ObjectId,
  by: string,
  now: Date,
  random: Random,
): { readonly text: string; readonly stored: StoredAgentCredential } {
  const keyId = `${agentId.toHexString()}-${random.bytes(4).toString('hex')}`;
  const { text, digest } = newCredential(AGENT_PREFIX, keyId, random);
  return { text, stored: { keyId, digest, createdAt: now, createdBy: by, firstUsedAt: null, endsAt: null } };
}

/**
 * The one that holds on beside a new one: the newest that the agent has come with, so that no lost answers, however
 * many, lock it out.
 */
export function formerCredential({ credentials }: AgentDocument, now: Date): StoredAgentCredential[] {
  const live = credentials.filter(({ endsAt }) => endsAt === null || endsAt > now);
  const former = live.findLast(({ firstUsedAt }) => firstUsedAt !== null) ?? live.at(-1);
  return former ? [former] : [];
}

/** As they are when none of them shall hold beyond `end`. */
export function endingBy(credentials: readonly StoredAgentCredential[], end: Date): StoredAgentCredential[] {
  return credentials.map((each) => (each.endsAt !== null && each.endsAt < end ? each : { ...each, endsAt: end }));
}
