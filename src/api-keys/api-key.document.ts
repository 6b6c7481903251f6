import type { Types } from 'mongoose';
import type { Role } from '../auth/index.js';

/** A stored key. `_id` is the key id within the credential; the secret itself is stored nowhere. */
export interface ApiKeyDocument {
  readonly _id: Types.ObjectId;
  /** `*` for a key of all tenants. */
  readonly tenantId: string;
  readonly name: string;
  readonly role: Role;
  /** Of the secret. */
  readonly digest: string;
  readonly expiresAt: Date | null;
  /** At most a minute old. */
  readonly lastUsedAt: Date | null;
  readonly createdAt: Date;
  readonly createdBy: string;
}

/** A key as it is shown: everything but what it is proven with. */
export interface StoredApiKey {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly role: Role;
  readonly principal: string;
  readonly expiresAt: string | null;
  readonly lastUsedAt: string | null;
  readonly createdAt: string;
  readonly createdBy: string;
}

/** What the key's principal is called. Not a DNS label, so that it is never that of a configured key. */
export function principalIdOf({ _id, name }: Pick<ApiKeyDocument, '_id' | 'name'>): string {
  return `${name}.${_id.toHexString()}`;
}

export function toStoredApiKey(document: ApiKeyDocument): StoredApiKey {
  const { _id, tenantId, name, role, expiresAt, lastUsedAt, createdAt, createdBy } = document;
  return {
    id: _id.toHexString(),
    tenantId,
    name,
    role,
    principal: principalIdOf(document),
    expiresAt: expiresAt?.toISOString() ?? null,
    lastUsedAt: lastUsedAt?.toISOString() ?? null,
    createdAt: createdAt.toISOString(),
    createdBy,
  };
}
