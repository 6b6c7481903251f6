import type { Scope } from '../../auth/principal.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { Caller } from './caller.js';

/** A run as a request names it, found. */
export interface OwnedRun {
  readonly subsystem: Subsystem;
  /** The id that the subsystem knows it by. */
  readonly runId: string;
  /** Whether the request said the subsystem too: then answers do. */
  readonly qualified: boolean;
}

/**
 * Port: which subsystem a run belongs to. A bare id is looked up, a qualified one (`<subsystem>~<run>`) says it.
 * Implemented by `CachedRunOwners`.
 */
export interface RunOwners {
  /**
   * For a read. Rejects with `not_found`, `unavailable` (its owner is not connected, or nobody has it and some did not
   * answer), or `failed_precondition` for a bare id that several have, naming the qualified ones.
   */
  find(caller: Caller, runId: string): Promise<OwnedRun>;
  /** For a mutation: a bare id that was only seen, not looked for everywhere, is looked for first. */
  findSole(caller: Caller, runId: string): Promise<OwnedRun>;
  /** The subsystem has listed or streamed this run. */
  seen(subsystem: Subsystem, runId: string): void;
  /** It answered `not_found` for a run that the cache gave to it. */
  forget(subsystem: Subsystem, runId: string): void;
  /** Whose run an id is that an answer has shown; undefined if that is not known, or not of one alone. Asks nobody. */
  knownOwner(scope: Scope, runId: string): Subsystem | undefined;
  /**
   * Whether more than one subsystem is known to have a run of this id, or it reads as the qualified id of another: then
   * it is shown by its qualified id. With a scope only by what that scope may see.
   */
  isAmbiguous(runId: string, scope?: Scope): boolean;
}

export const RUN_OWNERS = Symbol('RunOwners');
