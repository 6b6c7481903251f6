import { Inject, Injectable, Logger } from '@nestjs/common';
import { Types } from 'mongoose';
import { ALL_TENANTS, DEFAULT_TENANT, type Principal, type Scope, newCredential } from '../../auth/index.js';
import { SERVER_TIME, type ServerTime } from '../../database/index.js';
import { AppError } from '../../errors/app-error.js';
import { type Page, type Removed, toPage, toStoredLabels } from '../../http/index.js';
import { RANDOM, type Random } from '../../runtime/random.js';
import { TenantsService } from '../../tenants/index.js';
import { type BootstrapToken, type BootstrapTokenDocument, toBootstrapToken } from './bootstrap-token.document.js';
import type { CreateBootstrapToken, ListBootstrapTokensQuery } from './bootstrap-tokens.dto.js';
import { BootstrapTokensRepository, TOKEN_PREFIX } from './bootstrap-tokens.repository.js';

/** Tokens that let agents in. A tenant's admin makes, sees and revokes those of that tenant only. */
@Injectable()
export class BootstrapTokensService {
  private readonly log = new Logger(BootstrapTokensService.name);

  constructor(
    private readonly tokens: BootstrapTokensRepository,
    @Inject(TenantsService) private readonly tenants: Pick<TenantsService, 'exists'>,
    @Inject(SERVER_TIME) private readonly time: ServerTime,
    @Inject(RANDOM) private readonly random: Random,
  ) {}

  /**
   * The only time that the token itself is told.
   * @throws AppError `auth.forbidden` (`platform` by an admin of one tenant), `resource.not_found` (tenant).
   */
  async issue(principal: Principal, asked: CreateBootstrapToken): Promise<BootstrapToken & { readonly token: string }> {
    const tenantId = tenantOf(principal, asked);
    const now = await this.time.read();
    const _id = new Types.ObjectId();
    const { text, digest } = newCredential(TOKEN_PREFIX, _id.toHexString(), this.random);
    const expiresAt = new Date(now.getTime() + asked.expiresInMs);
    const document: BootstrapTokenDocument = {
      _id,
      tenantId,
      digest,
      labels: toStoredLabels(asked.labels),
      maxUses: asked.maxUses,
      remainingUses: asked.maxUses,
      registrations: [],
      expiresAt,
      revokedAt: null,
      endsAt: expiresAt,
      createdAt: now,
      createdBy: principal.id,
    };
    await this.tokens.insert(document);
    // Only now, so that a deletion of the tenant that goes on meanwhile leaves no token behind.
    if (tenantId !== ALL_TENANTS && !(await this.tenants.exists(tenantId))) {
      await this.tokens.remove(_id);
      throw AppError.notFound('tenant');
    }
    this.log.log({
      message: 'a bootstrap token was issued',
      tokenId: _id.toHexString(),
      tenantId,
      maxUses: asked.maxUses,
    });
    return { ...toBootstrapToken(document, now), token: text };
  }

  async list(scope: Scope, query: ListBootstrapTokensQuery): Promise<Page<BootstrapToken>> {
    const now = await this.time.read();
    return toPage(await this.tokens.list(scope, query), query.limit, (document) => toBootstrapToken(document, now));
  }

  /** @throws AppError `resource.not_found`. */
  async get(scope: Scope, id: string): Promise<BootstrapToken> {
    const document = await this.tokens.find(scope, id);
    if (document === null) throw AppError.notFound('bootstrap token');
    return toBootstrapToken(document, await this.time.read());
  }

  /** Agents that it has let in stay. @throws AppError `resource.not_found`. */
  async revoke(principal: Principal, id: string): Promise<Removed> {
    const document = await this.tokens.revoke(principal, id);
    if (document === null) throw AppError.notFound('bootstrap token');
    this.log.log({ message: 'a bootstrap token was revoked', tokenId: id, tenantId: document.tenantId });
    return { tenantId: document.tenantId };
  }
}

function tenantOf({ id, tenantId }: Principal, asked: CreateBootstrapToken): string {
  const isOfAll = tenantId === ALL_TENANTS;
  if (asked.pool === 'platform') {
    if (isOfAll) return ALL_TENANTS;
    throw new AppError(
      'auth.forbidden',
      `agents of the platform are let in by admins of all tenants; "${id}" belongs to ${tenantId}`,
    );
  }
  const wanted = asked.tenantId ?? (isOfAll ? DEFAULT_TENANT : tenantId);
  if (!isOfAll && wanted !== tenantId) throw AppError.notFound('tenant');
  return wanted;
}
