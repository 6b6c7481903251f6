import { equals } from '@bufbuild/protobuf';
import type { Clock } from '../../runtime/clock.js';
import {
  type Capabilities,
  CapabilitiesSchema,
  type WorkflowDefinition,
  WorkflowDefinitionSchema,
} from '../gen/flowwatch/v1/types_pb.js';
import { readWorkflows } from './call-back.js';
import type { RegisteredSubsystem } from './registered-subsystem.js';

/** What subsystems have told that they offer. */
export class SubsystemOffers {
  private readonly refreshes = new Map<RegisteredSubsystem, Promise<readonly WorkflowDefinition[]>>();

  constructor(
    private readonly clock: Clock,
    private readonly onChange: (subsystem: RegisteredSubsystem) => void,
  ) {}

  learn(
    subsystem: RegisteredSubsystem,
    capabilities: Capabilities,
    workflows: readonly WorkflowDefinition[] = subsystem.workflows,
  ): void {
    const isNew =
      subsystem.capabilities === undefined ||
      !equals(CapabilitiesSchema, subsystem.capabilities, capabilities) ||
      !sameWorkflows(subsystem.workflows, workflows);
    subsystem.learnedAt = this.clock.monotonic();
    if (!isNew) return;
    subsystem.capabilities = capabilities;
    subsystem.workflows = workflows;
    this.onChange(subsystem);
  }

  /** Asks it now; concurrent calls share one. Errors are those of the call. */
  refresh(subsystem: RegisteredSubsystem): Promise<readonly WorkflowDefinition[]> {
    const running = this.refreshes.get(subsystem);
    if (running) return running;
    const refresh = this.ask(subsystem).finally(() => this.refreshes.delete(subsystem));
    this.refreshes.set(subsystem, refresh);
    return refresh;
  }

  private async ask(subsystem: RegisteredSubsystem): Promise<readonly WorkflowDefinition[]> {
    const { workflows } = await readWorkflows(subsystem.connection, {});
    if (!sameWorkflows(subsystem.workflows, workflows)) {
      subsystem.workflows = workflows;
      this.onChange(subsystem);
    }
    return workflows;
  }
}

function sameWorkflows(a: readonly WorkflowDefinition[], b: readonly WorkflowDefinition[]): boolean {
  return a.length === b.length && a.every((each, index) => isSameWorkflow(each, b[index]));
}

function isSameWorkflow(a: WorkflowDefinition, b: WorkflowDefinition | undefined): boolean {
  return b !== undefined && equals(WorkflowDefinitionSchema, a, b);
}
