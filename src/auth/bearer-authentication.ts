import { Inject, Injectable } from '@nestjs/common';
import { AppError } from '../errors/app-error.js';
import { principalOf } from './api-key.js';
import { type AuthConfig, authConfig } from './auth.config.js';
import { Credentials, type FoundPrincipal } from './credential-authority.js';
import { FailedLogins } from './failed-logins.js';
import type { Principal } from './principal.js';
import { LOCAL } from './standing-principals.js';

const REALM = { headers: { 'WWW-Authenticate': 'Bearer realm="crowsnest"' } };

export interface Bearer {
  /** The header as it came. */
  readonly authorization: string | undefined;
  /** Of the peer. */
  readonly address: string;
}

/** From the bearer credential of a request to its principal: the same for routes as for RPCs. */
@Injectable()
export class BearerAuthentication {
  constructor(
    private readonly credentials: Credentials,
    private readonly failedLogins: FailedLogins,
    @Inject(authConfig.token) private readonly config: AuthConfig,
  ) {}

  /** Whether nobody needs a key, because the service serves this machine only. */
  get isOpen(): boolean {
    return this.config.apiKeys === undefined;
  }

  /**
   * Who sends this. Agents have to say who they are everywhere, users only where there are keys.
   *
   * @throws AppError `auth.required`, `request.rate_limited`. Rejects otherwise when that cannot be told now.
   */
  async authenticate({ authorization, address }: Bearer, kind: 'user' | 'agent' = 'user'): Promise<Principal> {
    const sent = /^Bearer +(\S+)$/i.exec(authorization ?? '')?.[1];
    if (!this.isOpen || sent !== undefined) this.failedLogins.requireUnblocked(address);
    const found = sent === undefined ? undefined : await this.find(sent);
    if (found !== undefined && found !== 'over' && found !== 'unknown') return found;
    // A wrong credential of a stored kind is told even where none is needed: an agent would not be itself.
    if (this.isOpen && found === undefined && kind === 'user') return LOCAL;
    if (sent !== undefined && found !== 'over') this.failedLogins.record(address);
    if (sent !== undefined) throw new AppError('auth.required', 'the credential is unknown, expired or revoked', REALM);
    const what = kind === 'agent' ? "the agent's credential" : 'a key of CROWSNEST_API_KEYS or of POST /api-keys';
    throw new AppError('auth.required', `send ${what} as "Authorization: Bearer <secret>"`, REALM);
  }

  private async find(sent: string): Promise<FoundPrincipal | undefined> {
    return principalOf(this.config.apiKeys ?? [], sent) ?? this.credentials.find(sent);
  }
}
