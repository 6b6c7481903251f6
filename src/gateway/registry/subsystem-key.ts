import { createHash } from 'node:crypto';
import { DEFAULT_TENANT } from '../../auth/principal.js';
import type { SettingType } from '../../config/setting-types.js';

/** A configured key of one subsystem. Only the digest of its secret is kept. */
export interface SubsystemKey {
  readonly subsystemId: string;
  readonly tenantId: string;
  readonly digest: Buffer;
}

/** What a subsystem may call itself: no `~`, which separates it from a run in a qualified id. */
export const SUBSYSTEM_ID = /^[A-Za-z0-9](?:[A-Za-z0-9._-]{0,126}[A-Za-z0-9])?$/;
const SHAPE = /^([^:@]+)(?:@([a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?))?:(\S{16,512})$/;

/** `id[@tenant]:secret`; the secret has at least 16 characters and may hold colons. */
export function subsystemKey(): SettingType<SubsystemKey> {
  return {
    expected: 'id[@tenant]:secret, with a secret of 16 characters or more',
    parse(text) {
      const [, subsystemId, tenantId = DEFAULT_TENANT, secret] = SHAPE.exec(text) ?? [];
      if (subsystemId === undefined || secret === undefined || !SUBSYSTEM_ID.test(subsystemId)) {
        throw new Error('not a subsystem key');
      }
      return { subsystemId, tenantId, digest: createHash('sha256').update(secret).digest() };
    },
  };
}
