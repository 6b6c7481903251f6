import { Inject, Injectable } from '@nestjs/common';
import { Code, ConnectError } from '@connectrpc/connect';
import { type Scope, SYSTEM_SCOPE, isInScope } from '../../auth/principal.js';
import { abortable } from '../../runtime/abortable.js';
import { type Clock, CLOCK } from '../../runtime/clock.js';
import type { WorkflowDefinition } from '../gen/flowwatch/v1/types_pb.js';
import { SUBSYSTEM_DIRECTORY, type Subsystem, type SubsystemDirectory } from '../registry/subsystem-directory.js';
import type { SubsystemFailure } from './answer.js';
import type { Caller } from './caller.js';
import { failureReason } from './failure-reason.js';
import { turnAt } from './fan-out.js';
import { ambiguousId, nobodyHas, requireConnected } from './owner-error.js';
import { parseQualifiedId } from './qualified-id.js';
import { within } from './time-for-calls.js';

/** A workflow as a request names it, found. */
export interface OwnedWorkflow {
  readonly subsystem: Subsystem;
  /** The id that the subsystem knows it by. */
  readonly workflowId: string;
  /** Whether the request said the subsystem too: then answers do. */
  readonly qualified: boolean;
}

/** A subsystem is asked for its workflows at most this often for the sake of ids that nobody has. */
const REFRESH_EVERY_MS = 1_000;

interface Refresh {
  readonly startedAt: number;
  readonly outcome: Promise<SubsystemFailure | undefined>;
}

/** Which subsystem a workflow belongs to: by what each last listed, asked again when an id is not among it. */
@Injectable()
export class WorkflowOwners {
  private readonly ownersById = new Map<string, Set<Subsystem>>();
  private readonly indexed = new Map<Subsystem, readonly WorkflowDefinition[]>();
  private readonly refreshes = new WeakMap<Subsystem, Refresh>();
  private shared = 0;

  constructor(
    @Inject(SUBSYSTEM_DIRECTORY) private readonly directory: SubsystemDirectory,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    for (const subsystem of directory.list(SYSTEM_SCOPE)) this.index(subsystem, subsystem.workflows);
    directory.onChange(({ kind, subsystem }) => {
      if (kind === 'removed') this.unindex(subsystem);
      else this.index(subsystem, subsystem.workflows);
    });
  }

  /**
   * @throws ConnectError `not_found`; `unavailable` if its owner is not connected, or nobody has it and some did not
   *   answer; `failed_precondition` for a bare id that several have, naming the qualified ones.
   */
  async find(caller: Caller, workflowId: string): Promise<OwnedWorkflow> {
    const scope = caller.principal;
    const qualified = this.qualified(scope, workflowId);
    if (qualified) {
      requireConnected(qualified.subsystem);
      return qualified;
    }
    this.indexAll(scope);
    const failures = this.ownersOf(workflowId, scope).length === 0 ? await this.refresh(caller) : [];
    const [owner, ...others] = this.ownersOf(workflowId, scope);
    if (!owner) throw nobodyHas('workflow', workflowId, failures);
    if (others.length > 0) throw ambiguousId('workflow', workflowId, [owner, ...others]);
    return { subsystem: requireConnected(owner), workflowId, qualified: false };
  }

  /** undefined for a bare id, and for one of a subsystem that is not registered or not in scope. In whatever state. */
  qualified(scope: Scope, text: string): OwnedWorkflow | undefined {
    const parts = parseQualifiedId(text);
    const subsystem = parts && this.directory.find(scope, parts.subsystemId);
    return subsystem && { subsystem, workflowId: parts.id, qualified: true };
  }

  /** Whose workflow an id is that an answer has shown; undefined if that is not known, or not of one alone. Asks nobody. */
  knownOwner(scope: Scope, text: string): Subsystem | undefined {
    const qualified = this.qualified(scope, text);
    if (qualified) return qualified.subsystem;
    const [owner, ...others] = this.ownersOf(text, scope);
    return others.length === 0 ? owner : undefined;
  }

  /**
   * Whether more than one subsystem is known to have a workflow of this id, or it reads as the qualified id of another:
   * then it is shown by its qualified id. With a scope only by what that scope may see.
   */
  isAmbiguous(workflowId: string, scope: Scope = SYSTEM_SCOPE): boolean {
    if (this.shared > 0 && this.ownersOf(workflowId, scope).length > 1) return true;
    return workflowId.includes('~') && this.qualified(scope, workflowId) !== undefined;
  }

  private ownersOf(workflowId: string, scope: Scope): readonly Subsystem[] {
    return [...(this.ownersById.get(workflowId) ?? [])].filter(({ tenantId }) => isInScope(scope, tenantId));
  }

  /** Others refresh them too; the lists are replaced, never changed. */
  private indexAll(scope: Scope): void {
    for (const subsystem of this.directory.list(scope)) this.index(subsystem, subsystem.workflows);
  }

  private index(subsystem: Subsystem, workflows: readonly WorkflowDefinition[]): void {
    if (this.indexed.get(subsystem) === workflows) return;
    this.unindex(subsystem);
    this.indexed.set(subsystem, workflows);
    for (const { id } of workflows) {
      const owners = this.ownersById.get(id) ?? new Set();
      if (!owners.has(subsystem) && owners.size === 1) this.shared += 1;
      this.ownersById.set(id, owners.add(subsystem));
    }
  }

  private unindex(subsystem: Subsystem): void {
    for (const { id } of this.indexed.get(subsystem) ?? []) {
      const owners = this.ownersById.get(id);
      if (!owners?.delete(subsystem)) continue;
      if (owners.size === 1) this.shared -= 1;
      if (owners.size === 0) this.ownersById.delete(id);
    }
    this.indexed.delete(subsystem);
  }

  private async refresh({ principal, signal, timeoutMs }: Caller): Promise<readonly SubsystemFailure[]> {
    const outcomes = Promise.all(
      this.directory.list(principal).map(async (subsystem) => {
        const late: SubsystemFailure = { subsystemId: subsystem.id, reason: 'timeout' };
        return within(this.clock, timeoutMs, this.refreshOne(subsystem), late);
      }),
    );
    try {
      return (await abortable(outcomes, signal)).filter((failure) => failure !== undefined);
    } catch (error) {
      throw ConnectError.from(error, Code.Canceled);
    }
  }

  private refreshOne(subsystem: Subsystem): Promise<SubsystemFailure | undefined> {
    const { id: subsystemId, state } = subsystem;
    if (state !== 'connected') return Promise.resolve({ subsystemId, reason: state });
    const last = this.refreshes.get(subsystem);
    if (last && this.clock.monotonic() - last.startedAt < REFRESH_EVERY_MS) return last.outcome;
    const turn = turnAt(subsystem);
    if ('reason' in turn) return Promise.resolve(turn);
    const asked = this.directory.refreshWorkflows(subsystem).then(
      (workflows) => {
        turn.ended();
        const isRegistered = this.directory.find(SYSTEM_SCOPE, subsystemId) === subsystem;
        if (isRegistered) this.index(subsystem, workflows);
        return undefined;
      },
      (error: unknown): SubsystemFailure => {
        turn.ended(error);
        return { subsystemId, reason: failureReason(error) };
      },
    );
    const outcome = turn.isProbe ? Promise.resolve<SubsystemFailure>({ subsystemId, reason: 'timeout' }) : asked;
    this.refreshes.set(subsystem, { startedAt: this.clock.monotonic(), outcome });
    return outcome;
  }
}
