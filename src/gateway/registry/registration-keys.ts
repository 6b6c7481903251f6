import { createHash, timingSafeEqual } from 'node:crypto';
import { DEFAULT_TENANT } from '../../auth/principal.js';
import type { SubsystemKey } from './subsystem-key.js';

export interface RegistrationKeysOptions {
  readonly apiKey?: string | undefined;
  readonly subsystemKeys?: readonly SubsystemKey[] | undefined;
  readonly servesLoopbackOnly: boolean;
}

/**
 * `tenantId`: what it registers belongs to that tenant.
 * `foreign`: a key of ours, but not for this id.
 */
export type RegistrationVerdict = { readonly tenantId: string } | 'wrong' | 'foreign';

/** Who may register. With no key configured everybody may while the service serves this machine only, else nobody. */
export class RegistrationKeys {
  private readonly apiKeyDigest: Buffer | undefined;
  private readonly subsystemKeys: readonly SubsystemKey[];
  private readonly areNeeded: boolean;

  constructor({ apiKey, subsystemKeys = [], servesLoopbackOnly }: RegistrationKeysOptions) {
    this.apiKeyDigest = apiKey === undefined ? undefined : digestOf(apiKey);
    this.subsystemKeys = subsystemKeys;
    this.areNeeded = apiKey !== undefined || subsystemKeys.length > 0 || !servesLoopbackOnly;
  }

  /** Keys are needed, and none is configured: nobody may register. */
  get lackAll(): boolean {
    return this.areNeeded && this.apiKeyDigest === undefined && this.subsystemKeys.length === 0;
  }

  /** Whether it is a key of ours at all, before anything else of a registration is known. */
  isKnown(secret: string): boolean {
    const { ofApiKey, ofSubsystems } = this.matches(secret);
    return !this.areNeeded || ofApiKey || ofSubsystems.length > 0;
  }

  /** An id that has a key of its own is not for the one that opens all: its holder could take the place of another. */
  judge(secret: string, subsystemId: string): RegistrationVerdict {
    if (!this.areNeeded) return { tenantId: DEFAULT_TENANT };
    const { ofApiKey, ofSubsystems } = this.matches(secret);
    const own = ofSubsystems.find((key) => key.subsystemId === subsystemId);
    if (own) return { tenantId: own.tenantId };
    const hasOwn = this.subsystemKeys.some((key) => key.subsystemId === subsystemId);
    if (ofApiKey && !hasOwn) return { tenantId: DEFAULT_TENANT };
    return ofApiKey || ofSubsystems.length > 0 ? 'foreign' : 'wrong';
  }

  /** Looks at every key, so that time tells nothing about them. */
  private matches(secret: string): { ofApiKey: boolean; ofSubsystems: readonly SubsystemKey[] } {
    const digest = digestOf(secret);
    const ofApiKey = this.apiKeyDigest !== undefined && timingSafeEqual(this.apiKeyDigest, digest);
    return { ofApiKey, ofSubsystems: this.subsystemKeys.filter((key) => timingSafeEqual(key.digest, digest)) };
  }
}

function digestOf(secret: string): Buffer {
  return createHash('sha256').update(secret).digest();
}
