import { createHash } from 'node:crypto';
import type { Random } from '../../runtime/random.js';

/** What an agent proves with that it still has a job. Random, shown once, stored as its hash. One for all jobs of a claim. */
export interface LeaseToken {
  readonly token: string;
  readonly hash: string;
}

const BYTES = 32;

export function newLeaseToken(random: Random): LeaseToken {
  const token = random.bytes(BYTES).toString('base64url');
  return { token, hash: hashOfToken(token) };
}

export function hashOfToken(token: string): string {
  return createHash('sha256').update(token).digest('base64url');
}

/** Begins with the agent's id, so that one range holds all that an agent has. */
export function claimKeyOf(agentId: string, claimId: string): string {
  return `${agentId}:${createHash('sha256').update(claimId).digest('base64url')}`;
}

/** The claim keys of one agent: `from <= key < to`. */
export function claimKeysOf(agentId: string): { readonly from: string; readonly to: string } {
  return { from: `${agentId}:`, to: `${agentId};` };
}
