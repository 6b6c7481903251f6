import type { Scope } from '../../auth/principal.js';
import type { SubsystemConnection } from '../connections/subsystem-connection.js';
import type { Capabilities, WorkflowDefinition } from '../gen/flowwatch/v1/types_pb.js';

/**
 * `connecting`: it lives, but no call-back to an endpoint of it has succeeded yet, or none can be reached any more.
 * `connected`: at least one instance lives and can be reached. `stale`: none lives; kept for the grace period. Only
 * `connected` ones are asked.
 */
export type SubsystemState = 'connecting' | 'connected' | 'stale';

/** A subsystem as the rest of the gateway sees it. The object stays the same while the subsystem is registered. */
export interface Subsystem {
  /** Under which it is registered; the only identity that routing trusts, never one that a payload claims. */
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
  readonly registeredAt: number;
  readonly state: SubsystemState;
  /** What its last call-back said; undefined before the first. */
  readonly capabilities: Capabilities | undefined;
  /** What its last call-back said; empty before the first. Refreshed by `refreshWorkflows`. */
  readonly workflows: readonly WorkflowDefinition[];
  /** Calls one of its live instances. */
  readonly connection: SubsystemConnection;
}

export type DirectoryChange = {
  readonly kind: 'connected' | 'stale' | 'removed' | 'changed';
  readonly subsystem: Subsystem;
};

/** Port: who is registered. Implemented by the registry; by `FakeSubsystemDirectory` in tests. */
export interface SubsystemDirectory {
  /** All that the scope may see, in whatever state, by id ascending. */
  list(scope: Scope): readonly Subsystem[];
  /** undefined unless it is registered and in scope. */
  find(scope: Scope, id: string): Subsystem | undefined;
  /** Asks the subsystem for its workflows now; concurrent calls share one. Errors are those of the call. */
  refreshWorkflows(subsystem: Subsystem, signal?: AbortSignal): Promise<readonly WorkflowDefinition[]>;
  /** Tells each change, after it has happened, until the returned function is called. */
  onChange(listener: (change: DirectoryChange) => void): () => void;
}

export const SUBSYSTEM_DIRECTORY = Symbol('SubsystemDirectory');
