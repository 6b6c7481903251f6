import { Injectable } from '@nestjs/common';
import type { Principal } from './principal.js';

/**
 * What is known of a credential. `over`: it was right once and is not any more, so whoever sends it has not guessed it.
 * An id that nobody has and a secret that is wrong are both `unknown`.
 */
export type FoundPrincipal = Principal | 'over' | 'unknown';

/** Port: stored credentials of one kind. Implemented by the room that issues them, which registers itself at `Credentials`. */
export interface CredentialAuthority {
  /** What its credentials begin with, before the `_`. */
  readonly prefix: string;
  /** Read anew at every request, so that a revocation holds at the next one on every replica. Rejects when that cannot be told now. */
  find(credential: string): Promise<FoundPrincipal>;
  /** Whether some credential still makes this principal: same id, role and tenant. */
  stands(principal: Principal): Promise<boolean>;
}

/** Where the guard asks for stored credentials. */
@Injectable()
export class Credentials {
  private readonly authorities = new Map<string, CredentialAuthority>();

  register(authority: CredentialAuthority): void {
    if (this.authorities.has(authority.prefix)) throw new Error(`somebody keeps ${authority.prefix}_ already`);
    this.authorities.set(authority.prefix, authority);
  }

  /** Undefined if it is not a stored credential of any kind. */
  async find(credential: string): Promise<FoundPrincipal | undefined> {
    const separator = credential.indexOf('_');
    if (separator < 0) return undefined;
    return this.authorities.get(credential.slice(0, separator))?.find(credential);
  }

  async stands(principal: Principal): Promise<boolean> {
    const answers = await Promise.all([...this.authorities.values()].map((each) => each.stands(principal)));
    return answers.includes(true);
  }
}
