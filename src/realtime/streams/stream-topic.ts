import type { Principal } from '../../auth/principal.js';

/** The names of DESIGN 5 that carry state; the session adds `snapshot`, `lagged`, `heartbeat` and `shutdown` itself. */
export type StreamEventName =
  | 'node_update'
  | 'status_update'
  | 'run_update'
  | 'cluster_health'
  | 'job_update'
  | 'subsystem_update'
  | 'gateway_run_update'
  | 'gateway_subsystem_update';

/** One thing's state within a stream. */
export interface StreamItem {
  readonly eventType: StreamEventName;
  /** What the state is of, unique within the stream key: a newer state of it supersedes an older one. */
  readonly entity: string;
  /** Grows with every change of the entity. A change that a snapshot already shows is not sent again. */
  readonly version: number;
  readonly data: unknown;
  /** The last of its stream key: nothing follows, so a stream that carries nothing else ends after it. */
  readonly final?: boolean;
}

/** Whether a snapshot shows that nothing follows under its key. */
export function isFinal(items: readonly StreamItem[]): boolean {
  return items.some(({ final }) => final === true);
}

/**
 * Port: what stands behind the stream keys `<prefix>:<id>`, or behind the bare key `<prefix>`, whose id is ''.
 * Implemented by the room that owns the state, registered at the broadcaster.
 */
export interface StreamTopic {
  /** `workflow`, `resource`, `clusters`, `cluster`, `run`. */
  readonly prefix: string;
  /** Throws AppError `resource.not_found` unless the principal may see what the key names, `request.invalid` if it can name nothing. */
  authorize(principal: Principal, id: string): Promise<void>;
  /**
   * The current state, read after the call and only what the principal's tenant may see: all clients of that tenant
   * may be given the same. What a read showed a later one shows too. A change must be stored before it is published:
   * then it is either in here or arrives as an event, and never both.
   */
  snapshot(principal: Principal, id: string): Promise<readonly StreamItem[]>;
  /**
   * For a state that is kept only while somebody follows it: a tenant's clients read the key from now on, or may come back
   * and resume. Called before the first `snapshot`, once for each tenant.
   */
  warmed?(id: string): void;
  /** As often as `warmed`: none does any more. */
  cooled?(id: string): void;
}
