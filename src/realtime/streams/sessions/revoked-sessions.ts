import type { Principal } from '../../../auth/principal.js';
import type { SessionRegistry } from './session-registry.js';

/** Cuts the sessions of those who lost their rights while they read: a revoked or expired key, on any replica. */
export class RevokedSessions {
  constructor(
    private readonly sessions: SessionRegistry,
    private readonly stands: (principal: Principal) => Promise<boolean>,
  ) {}

  /** Asks once for each principal. Rejects at the first that cannot be told now; nothing is cut for that. */
  async sweep(): Promise<void> {
    for (const principal of this.sessions.principals()) {
      if (await this.stands(principal)) continue;
      for (const session of this.sessions.ofPrincipal(principal)) session.destroy();
    }
  }
}
