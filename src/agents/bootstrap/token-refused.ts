import { AppError } from '../../errors/app-error.js';
import type { BootstrapTokenDocument } from './bootstrap-token.document.js';

export type TokenRefusal = 'unknown' | 'expired' | 'revoked' | 'spent' | 'agent_revoked' | 'tenant_deleted';

/** A registration that its token does not allow. The caller is not told why; the audit log is. */
export class TokenRefused extends AppError {
  /** `unknown` is a guess, `over` is not. */
  readonly kind: 'unknown' | 'over';

  constructor(
    readonly reason: TokenRefusal,
    /** Absent if nobody knows a token with that secret. */
    readonly token?: Pick<BootstrapTokenDocument, '_id' | 'tenantId'>,
  ) {
    super('auth.required', 'the bootstrap token is unknown, expired, revoked or spent; ask for another');
    this.kind = reason === 'unknown' ? 'unknown' : 'over';
  }
}
