import type { Principal } from '../../../auth/principal.js';
import { Waiters } from '../../waiters.js';
import type { SseSession } from './sse-session.js';

/** The open sessions: how many each principal has, and by the name of their connection. */
export class SessionRegistry {
  /** With the name of its connection, if it has one. */
  private readonly sessions = new Map<SseSession, string | undefined>();
  private readonly byPrincipal = new Map<string, number>();
  private readonly byConnection = new Map<string, SseSession>();
  private readonly waiters = new Waiters();

  get size(): number {
    return this.sessions.size;
  }

  all(): Iterable<SseSession> {
    return this.sessions.keys();
  }

  /** Each once who has a session. */
  principals(): readonly Principal[] {
    const found = new Map<string, Principal>();
    for (const { principal } of this.all()) found.set(rightsOf(principal), principal);
    return [...found.values()];
  }

  /** Those that were opened with just these rights. */
  ofPrincipal(principal: Principal): readonly SseSession[] {
    const rights = rightsOf(principal);
    return [...this.all()].filter((session) => rightsOf(session.principal) === rights);
  }

  countOf(principal: Principal): number {
    return this.byPrincipal.get(identityOf(principal)) ?? 0;
  }

  onConnection(connection: string): SseSession | undefined {
    return this.byConnection.get(connection);
  }

  add(session: SseSession, connection?: string): void {
    this.sessions.set(session, connection);
    if (connection !== undefined) this.byConnection.set(connection, session);
    const identity = identityOf(session.principal);
    this.byPrincipal.set(identity, (this.byPrincipal.get(identity) ?? 0) + 1);
  }

  remove(session: SseSession): void {
    const connection = this.sessions.get(session);
    if (!this.sessions.delete(session)) return;
    if (connection !== undefined && this.byConnection.get(connection) === session) this.byConnection.delete(connection);
    const identity = identityOf(session.principal);
    const left = (this.byPrincipal.get(identity) ?? 1) - 1;
    if (left === 0) this.byPrincipal.delete(identity);
    else this.byPrincipal.set(identity, left);
    if (this.sessions.size === 0) this.waiters.release();
  }

  /** Resolves when no session is open. */
  whenEmpty(): Promise<void> {
    return this.sessions.size === 0 ? Promise.resolve() : this.waiters.wait();
  }
}

function identityOf({ kind, tenantId, id }: Principal): string {
  return `${kind} ${tenantId} ${id}`;
}

function rightsOf(principal: Principal): string {
  return `${identityOf(principal)} ${principal.role}`;
}
