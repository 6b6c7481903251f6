import type { Scope } from '../../auth/principal.js';
import type { RunStatus } from '../gen/flowwatch/v1/types_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import { invalidArgument } from '../input/invalid-argument.js';
import { MAX_ID_LENGTH } from '../routing/limits.js';
import type { WorkflowOwners } from '../routing/workflow-owners.js';
import type { LiveRun } from './live-run.js';

export interface RunWatch {
  /** Bare, or qualified by their subsystem. */
  readonly workflowIds: readonly string[];
  readonly statuses: readonly RunStatus[];
  /** Registered subsystems, or business domains. */
  readonly subsystemIds: readonly string[];
}

const MAX_VALUES = 100;

/** @throws ConnectError `invalid_argument` naming each field that is too much */
export function requireRunWatch({ workflowIds, statuses, subsystemIds }: RunWatch): void {
  const lists = { workflow_ids: workflowIds, statuses, subsystem_ids: subsystemIds };
  const violations = Object.entries(lists).flatMap(([field, values]) => {
    if (values.length > MAX_VALUES) {
      return [{ field, description: `must hold at most ${MAX_VALUES} values, there are ${values.length}` }];
    }
    return values.flatMap((value, index) => {
      if (typeof value !== 'string' || (value !== '' && value.length <= MAX_ID_LENGTH)) return [];
      return [{ field: `${field}[${index}]`, description: `must have 1 to ${MAX_ID_LENGTH} characters` }];
    });
  });
  if (violations.length > 0) throw invalidArgument(...violations);
}

/** Which runs of one subsystem are watched. undefined: none ever. */
export type RunTest = (run: LiveRun) => boolean;

/** Makes the tests of a watch, one for each subsystem. */
export class RunWatchFilter {
  private readonly statuses: ReadonlySet<RunStatus>;

  constructor(
    private readonly scope: Scope,
    private readonly watch: RunWatch,
    private readonly workflowOwners: Pick<WorkflowOwners, 'qualified'>,
  ) {
    this.statuses = new Set(watch.statuses);
  }

  testFor(subsystem: Subsystem, domainIds: readonly string[]): RunTest | undefined {
    const { workflowIds } = this.watch;
    const workflows = new Set(workflowIds.flatMap((id) => this.bareId(subsystem, id)));
    if (workflowIds.length > 0 && workflows.size === 0) return undefined;
    const domains = new Set(domainIds);
    const { statuses } = this;
    return ({ workflowId, status, domainId }) =>
      (statuses.size === 0 || statuses.has(status)) &&
      (workflows.size === 0 || workflows.has(workflowId)) &&
      (domains.size === 0 || domains.has(domainId));
  }

  /** As the subsystem knows it; nothing if it is another's. */
  private bareId(subsystem: Subsystem, workflowId: string): string[] {
    const owned = this.workflowOwners.qualified(this.scope, workflowId);
    if (!owned) return [workflowId];
    return owned.subsystem === subsystem ? [owned.workflowId] : [];
  }
}
