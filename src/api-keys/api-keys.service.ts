import { Inject, Injectable, Logger } from '@nestjs/common';
import { Types } from 'mongoose';
import { ALL_TENANTS, type Principal, type Scope, hasRole, newCredential } from '../auth/index.js';
import { AppError } from '../errors/app-error.js';
import { type Page, type Removed, toPage } from '../http/index.js';
import { EventBus } from '../realtime/index.js';
import { CLOCK, type Clock } from '../runtime/clock.js';
import { RANDOM, type Random } from '../runtime/random.js';
import { type TenantUsage, TenantsService } from '../tenants/index.js';
import type { ApiKeyChanged } from './api-key-events.js';
import { type ApiKeyDocument, type StoredApiKey, toStoredApiKey } from './api-key.document.js';
import type { CreateApiKey, ListApiKeysQuery } from './api-keys.dto.js';
import { ApiKeysRepository } from './api-keys.repository.js';

/** Keys that admins make over REST. A tenant's admin makes, sees and revokes those of that tenant only. */
@Injectable()
export class ApiKeysService implements TenantUsage {
  private readonly log = new Logger(ApiKeysService.name);

  constructor(
    private readonly keys: ApiKeysRepository,
    @Inject(TenantsService) private readonly tenants: Pick<TenantsService, 'exists' | 'registerUsage'>,
    @Inject(EventBus) private readonly bus: Pick<EventBus, 'publish'>,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(RANDOM) private readonly random: Random,
  ) {
    tenants.registerUsage(this);
  }

  /**
   * The only time that the key itself is told.
   * @throws AppError `auth.forbidden` (a role above the caller's), `resource.not_found` (tenant), `resource.name_taken`.
   */
  async create(
    principal: Principal,
    { name, role, tenantId = principal.tenantId, expiresInMs }: CreateApiKey,
  ): Promise<StoredApiKey & { readonly key: string }> {
    if (!hasRole(principal, role)) {
      throw new AppError('auth.forbidden', `"${principal.id}" is ${principal.role} and cannot make a key of ${role}`);
    }
    if (principal.tenantId !== ALL_TENANTS && tenantId !== principal.tenantId) throw AppError.notFound('tenant');
    const _id = new Types.ObjectId();
    const { text, digest } = newCredential('csk', _id.toHexString(), this.random);
    const now = this.clock.now();
    const document: ApiKeyDocument = {
      _id,
      tenantId,
      name,
      role,
      digest,
      expiresAt: expiresInMs === null ? null : new Date(now + expiresInMs),
      lastUsedAt: null,
      createdAt: new Date(now),
      createdBy: principal.id,
    };
    if (!(await this.keys.insert(document))) {
      throw new AppError('resource.name_taken', `there is a key called ${name} already; revoke it first`);
    }
    // Only now, so that a deletion of the tenant that goes on meanwhile leaves no key behind.
    if (tenantId !== ALL_TENANTS && !(await this.tenants.exists(tenantId))) {
      await this.keys.delete(principal, _id.toHexString());
      throw AppError.notFound('tenant');
    }
    return { ...this.announce(document, 'created', principal.id), key: text };
  }

  async list(scope: Scope, query: ListApiKeysQuery): Promise<Page<StoredApiKey>> {
    return toPage(await this.keys.list(scope, query), query.limit, toStoredApiKey);
  }

  /** @throws AppError `resource.not_found`. */
  async get(scope: Scope, id: string): Promise<StoredApiKey> {
    const document = await this.keys.find(scope, id);
    if (document === null) throw AppError.notFound('API key');
    return toStoredApiKey(document);
  }

  /** Holds at the next request on every replica. @throws AppError `resource.not_found`. */
  async revoke(principal: Principal, id: string): Promise<Removed> {
    const document = await this.keys.delete(principal, id);
    if (document === null) throw AppError.notFound('API key');
    this.announce(document, 'revoked', principal.id);
    return { tenantId: document.tenantId, name: document.name };
  }

  inUse(): Promise<null> {
    return Promise.resolve(null);
  }

  forget(tenantId: string): Promise<void> {
    return this.keys.deleteOfTenant(tenantId);
  }

  private announce(document: ApiKeyDocument, change: ApiKeyChanged['change'], by: string): StoredApiKey {
    const apiKey = toStoredApiKey(document);
    const { id, tenantId, name, role } = apiKey;
    this.log.log({ message: `an API key was ${change}`, apiKeyId: id, tenantId, name, role, by });
    this.bus.publish('api-key.changed', { apiKey, change });
    return apiKey;
  }
}
