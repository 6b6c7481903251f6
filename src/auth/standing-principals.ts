import { Inject, Injectable } from '@nestjs/common';
import { isConfigured } from './api-key.js';
import { type AuthConfig, authConfig } from './auth.config.js';
import { Credentials } from './credential-authority.js';
import { ALL_TENANTS, type Principal } from './principal.js';

/** Who calls a service that serves loopback only, where every local user is the owner. */
export const LOCAL: Principal = { kind: 'user', id: 'local', role: 'admin', tenantId: ALL_TENANTS };

/** Whether somebody who was let in once still is somebody with the same rights. */
@Injectable()
export class StandingPrincipals {
  constructor(
    private readonly credentials: Credentials,
    @Inject(authConfig.token) private readonly config: AuthConfig,
  ) {}

  /** Rejects when it cannot be told now. */
  async stands(principal: Principal): Promise<boolean> {
    const { apiKeys } = this.config;
    const needsNoCredential = apiKeys ? isConfigured(apiKeys, principal) : isLocal(principal);
    return needsNoCredential || this.credentials.stands(principal);
  }
}

function isLocal({ id, role, tenantId }: Principal): boolean {
  return id === LOCAL.id && role === LOCAL.role && tenantId === LOCAL.tenantId;
}
