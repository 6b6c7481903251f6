import { Inject, Injectable, Logger } from '@nestjs/common';
import { Types } from 'mongoose';
import {
  type CredentialAuthority,
  type FoundPrincipal,
  type Principal,
  readCredential,
  secretDigest,
} from '../auth/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { type ApiKeyDocument, principalIdOf } from './api-key.document.js';
import { ApiKeysRepository } from './api-keys.repository.js';

const USE_KEPT_MS = 60_000;
const KEY_ID = /^[0-9a-f]{24}$/;

/** Whose a stored key is. */
@Injectable()
export class ApiKeyAuthority implements CredentialAuthority {
  readonly prefix = 'csk';
  private readonly log = new Logger(ApiKeyAuthority.name);

  constructor(
    private readonly keys: ApiKeysRepository,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  async find(credential: string): Promise<FoundPrincipal> {
    const sent = readCredential(this.prefix, credential);
    if (!sent || !KEY_ID.test(sent.keyId)) return 'unknown';
    const key = await this.keys.findByDigest(secretDigest(sent.secret));
    if (key?._id.toHexString() !== sent.keyId) return 'unknown';
    if (this.isOver(key)) return 'over';
    await this.markUsed(key);
    return { kind: 'user', id: principalIdOf(key), role: key.role, tenantId: key.tenantId };
  }

  async stands({ kind, id, role, tenantId }: Principal): Promise<boolean> {
    const [name, keyId = ''] = id.split('.');
    if (kind !== 'user' || !KEY_ID.test(keyId)) return false;
    const key = await this.keys.findById(new Types.ObjectId(keyId));
    if (key === null || this.isOver(key)) return false;
    return key.name === name && key.role === role && key.tenantId === tenantId;
  }

  private isOver({ expiresAt }: ApiKeyDocument): boolean {
    return expiresAt !== null && expiresAt.getTime() <= this.clock.now();
  }

  private async markUsed(key: ApiKeyDocument): Promise<void> {
    const now = this.clock.now();
    if (key.lastUsedAt !== null && now - key.lastUsedAt.getTime() < USE_KEPT_MS) return;
    try {
      await this.keys.markUsed(key, new Date(now));
    } catch (error) {
      // The request itself is all right, and the next one tries again.
      this.log.warn({ message: 'the use of a key could not be stored', keyId: key._id.toHexString(), error });
    }
  }
}
