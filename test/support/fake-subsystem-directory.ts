import { type Scope, isInScope } from '../../src/auth/principal.js';
import type { SubsystemConnection } from '../../src/gateway/connections/subsystem-connection.js';
import type { Capabilities, WorkflowDefinition } from '../../src/gateway/gen/flowwatch/v1/types_pb.js';
import type {
  DirectoryChange,
  Subsystem,
  SubsystemDirectory,
  SubsystemState,
} from '../../src/gateway/registry/subsystem-directory.js';
import { FakeSubsystemConnection } from './fake-subsystem-connection.js';

export interface FakeSubsystem extends Subsystem {
  state: SubsystemState;
  capabilities: Capabilities | undefined;
  workflows: readonly WorkflowDefinition[];
  connection: SubsystemConnection;
}

/** Who is registered, as a test says. */
export class FakeSubsystemDirectory implements SubsystemDirectory {
  /** Ids of the subsystems whose workflows were asked for. */
  readonly refreshed: string[] = [];
  private readonly subsystems = new Map<string, FakeSubsystem>();
  private readonly listeners = new Set<(change: DirectoryChange) => void>();
  private workflowsOf = (subsystem: Subsystem): Promise<readonly WorkflowDefinition[]> =>
    Promise.resolve(subsystem.workflows);

  /** Connected, of the tenant `default`, unless said otherwise. Told as `connected` if it is. */
  add(subsystem: Partial<FakeSubsystem> & Pick<Subsystem, 'id'>): FakeSubsystem {
    const added: FakeSubsystem = {
      tenantId: 'default',
      name: subsystem.id,
      description: '',
      metadata: {},
      registeredAt: 0,
      state: 'connected',
      capabilities: undefined,
      workflows: [],
      connection: new FakeSubsystemConnection(),
      ...subsystem,
    };
    this.subsystems.set(added.id, added);
    this.tell(added.state === 'connected' ? 'connected' : 'changed', added);
    return added;
  }

  remove(id: string): void {
    const removed = this.subsystems.get(id);
    if (this.subsystems.delete(id) && removed) this.tell('removed', removed);
  }

  setState(id: string, state: SubsystemState): void {
    const subsystem = this.known(id);
    if (subsystem.state === state) return;
    subsystem.state = state;
    this.tell(state === 'connecting' ? 'changed' : state, subsystem);
  }

  /** Capabilities or workflows have changed. */
  change(id: string, change: Partial<Pick<FakeSubsystem, 'capabilities' | 'workflows'>>): void {
    this.tell('changed', Object.assign(this.known(id), change));
  }

  /** What `refreshWorkflows` finds from now on; it is kept as the subsystem's workflows. */
  onRefresh(workflowsOf: (subsystem: Subsystem) => Promise<readonly WorkflowDefinition[]>): void {
    this.workflowsOf = workflowsOf;
  }

  /** How many listen. */
  get listenerCount(): number {
    return this.listeners.size;
  }

  list(scope: Scope): readonly Subsystem[] {
    return [...this.subsystems.values()]
      .filter(({ tenantId }) => isInScope(scope, tenantId))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
  }

  find(scope: Scope, id: string): Subsystem | undefined {
    const found = this.subsystems.get(id);
    return found && isInScope(scope, found.tenantId) ? found : undefined;
  }

  async refreshWorkflows(subsystem: Subsystem): Promise<readonly WorkflowDefinition[]> {
    this.refreshed.push(subsystem.id);
    const workflows = await this.workflowsOf(subsystem);
    const known = this.subsystems.get(subsystem.id);
    if (known) known.workflows = workflows;
    return workflows;
  }

  onChange(listener: (change: DirectoryChange) => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private known(id: string): FakeSubsystem {
    const subsystem = this.subsystems.get(id);
    if (!subsystem) throw new RangeError(`no subsystem ${id} was added`);
    return subsystem;
  }

  private tell(kind: DirectoryChange['kind'], subsystem: Subsystem): void {
    for (const listener of this.listeners) listener({ kind, subsystem });
  }
}
