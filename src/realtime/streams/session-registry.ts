import type { Principal } from '../../auth/principal.js';
import type { SseSession } from './sse-session.js';

const NONE: ReadonlySet<SseSession> = new Set();

/** The open sessions: by stream key, and how many each principal has. */
export class SessionRegistry {
  private readonly sessions = new Set<SseSession>();
  private readonly byKey = new Map<string, Set<SseSession>>();
  private readonly byPrincipal = new Map<string, number>();
  private waiters: (() => void)[] = [];

  get size(): number {
    return this.sessions.size;
  }

  all(): ReadonlySet<SseSession> {
    return this.sessions;
  }

  of(streamKey: string): ReadonlySet<SseSession> {
    return this.byKey.get(streamKey) ?? NONE;
  }

  countOf(principal: Principal): number {
    return this.byPrincipal.get(identityOf(principal)) ?? 0;
  }

  add(session: SseSession): void {
    this.sessions.add(session);
    const identity = identityOf(session.principal);
    this.byPrincipal.set(identity, (this.byPrincipal.get(identity) ?? 0) + 1);
    for (const { streamKey } of session.topics) {
      const readers = this.byKey.get(streamKey) ?? new Set();
      this.byKey.set(streamKey, readers.add(session));
    }
  }

  remove(session: SseSession): void {
    if (!this.sessions.delete(session)) return;
    const identity = identityOf(session.principal);
    const left = (this.byPrincipal.get(identity) ?? 1) - 1;
    if (left === 0) this.byPrincipal.delete(identity);
    else this.byPrincipal.set(identity, left);
    for (const { streamKey } of session.topics) {
      const readers = this.byKey.get(streamKey);
      readers?.delete(session);
      if (readers?.size === 0) this.byKey.delete(streamKey);
    }
    if (this.sessions.size > 0) return;
    const { waiters } = this;
    this.waiters = [];
    for (const resolve of waiters) resolve();
  }

  /** Resolves when no session is open. */
  whenEmpty(): Promise<void> {
    if (this.sessions.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.waiters.push(resolve));
  }
}

function identityOf({ kind, tenantId, id }: Principal): string {
  return `${kind} ${tenantId} ${id}`;
}
