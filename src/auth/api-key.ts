import { createHash, timingSafeEqual } from 'node:crypto';
import type { SettingType } from '../config/setting-types.js';
import { ALL_TENANTS, type Principal, ROLES, type Role } from './principal.js';

/** A configured key. Only the digest of its secret is kept. */
export interface ApiKey {
  readonly name: string;
  readonly role: Role;
  readonly tenantId: string;
  readonly digest: Buffer;
}

const DNS_LABEL = '[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?';
const SHAPE = new RegExp(`^(${DNS_LABEL}):(${ROLES.join('|')})(?:@(${DNS_LABEL}))?:(\\S{16,512})$`);

/** `name:role[@tenant]:secret`; the secret has at least 16 characters and may hold colons. */
export function apiKey(): SettingType<ApiKey> {
  return {
    expected: `name:role[@tenant]:secret, with a role of ${ROLES.join(', ')} and a secret of 16 characters or more`,
    parse(text) {
      const [, name, role, tenantId, secret] = SHAPE.exec(text) ?? [];
      if (name === undefined || role === undefined || secret === undefined) throw new Error('not an API key');
      return { name, role: role as Role, tenantId: tenantId ?? ALL_TENANTS, digest: digestOf(secret) };
    },
  };
}

export function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}

/** The principal of the key with this secret. Looks at every key, so that time tells nothing about them. */
export function principalOf(keys: readonly ApiKey[], secret: string): Principal | undefined {
  const digest = digestOf(secret);
  let found: ApiKey | undefined;
  for (const key of keys) if (timingSafeEqual(key.digest, digest)) found = key;
  return found && { kind: 'user', id: found.name, role: found.role, tenantId: found.tenantId };
}

/** Whether one of the keys still makes this principal: same name, role and tenant. */
export function isConfigured(keys: readonly ApiKey[], { id, role, tenantId }: Principal): boolean {
  return keys.some((key) => key.name === id && key.role === role && key.tenantId === tenantId);
}
