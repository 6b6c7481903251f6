import type { Types } from 'mongoose';
import { type StoredLabel, fromStoredLabels } from '../../http/index.js';

export interface StoredRegistration {
  /** SHA-256 of the request's id. */
  readonly requestKey: string;
  readonly agentId: Types.ObjectId;
}

/** `_id` is the key id within the token; the secret itself is stored nowhere. */
export interface BootstrapTokenDocument {
  readonly _id: Types.ObjectId;
  /** `*`: makes agents of the platform. */
  readonly tenantId: string;
  /** Of the secret. */
  readonly digest: string;
  readonly labels: readonly StoredLabel[];
  readonly maxUses: number;
  readonly remainingUses: number;
  /** The uses, at most `maxUses`. */
  readonly registrations: readonly StoredRegistration[];
  /** Times are the server's. */
  readonly expiresAt: Date;
  readonly revokedAt: Date | null;
  /** Since when, or from when on, it is of no more use: expired, spent or revoked. */
  readonly endsAt: Date;
  readonly createdAt: Date;
  readonly createdBy: string;
}

export const TOKEN_STATES = ['active', 'spent', 'expired', 'revoked'] as const;

/** A token as it is shown: everything but what it is proven with. */
export interface BootstrapToken {
  readonly id: string;
  readonly tenantId: string;
  readonly pool: 'tenant' | 'platform';
  readonly labels: Readonly<Record<string, string>>;
  readonly state: (typeof TOKEN_STATES)[number];
  readonly maxUses: number;
  readonly remainingUses: number;
  readonly agentIds: readonly string[];
  readonly expiresAt: string;
  readonly createdAt: string;
  readonly createdBy: string;
}

export function toBootstrapToken(document: BootstrapTokenDocument, now: Date): BootstrapToken {
  const { _id, tenantId, labels, maxUses, remainingUses, registrations, expiresAt } = document;
  return {
    id: _id.toHexString(),
    tenantId,
    pool: tenantId === '*' ? 'platform' : 'tenant',
    labels: fromStoredLabels(labels),
    state: stateOf(document, now),
    maxUses,
    remainingUses,
    agentIds: registrations.map(({ agentId }) => agentId.toHexString()),
    expiresAt: expiresAt.toISOString(),
    createdAt: document.createdAt.toISOString(),
    createdBy: document.createdBy,
  };
}

function stateOf({ revokedAt, remainingUses, expiresAt }: BootstrapTokenDocument, now: Date): BootstrapToken['state'] {
  if (revokedAt !== null) return 'revoked';
  if (remainingUses === 0) return 'spent';
  return expiresAt <= now ? 'expired' : 'active';
}
