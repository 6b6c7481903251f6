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
 * Port: which subsystem a run belongs to. A bare id is looked up, a qualified one (`<subsystem>~<run>`) says it: that is
 * for ever right, whatever other subsystems say of their runs. Implemented by `CachedRunOwners`.
 */
export interface RunOwners {
  /**
   * For a read: one owner that is known is believed, wherever it is known from, so that a read costs one call; asking all
   * before each would cost as many as there are subsystems. Two subsystems with one id are therefore told apart from when
   * both were seen: from then on a bare id is refused for reads too, until one of them says that it does not have the run,
   * is removed, or the id falls out of the cache. An id of which none or several are known is looked for at all in scope,
   * of which those that take a second longer than the first that has it are not waited for.
   *
   * Rejects with `not_found`, `unavailable` (its owner is not connected, or nobody has it and some did not
   * answer), or `failed_precondition` for a bare id that several have, naming the qualified ones.
   */
  find(caller: Caller, runId: string): Promise<OwnedRun>;
  /**
   * For a mutation: a bare id that was not looked for at all in scope, since the last of them became connected, is looked
   * for first, and all are waited for. What it finds is known to reads too.
   */
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
