import type { Capabilities, WorkflowDefinition } from '../gen/flowwatch/v1/types_pb.js';
import type { CallBackFailure } from './call-back-failure.js';
import type { OpenSubsystemConnection, SubsystemConnections } from './subsystem-connections.js';
import type { Subsystem, SubsystemState } from './subsystem-directory.js';
import { NOT_REGISTERED, type SubsystemLife, liveEndpoints, subsystemState } from './subsystem-life.js';

/** What a subsystem says of itself. */
export interface SubsystemDescription {
  readonly id: string;
  readonly name: string;
  readonly description: string;
  readonly metadata: Readonly<Record<string, string>>;
}

/** A subsystem with what the registry knows of it. Changed by the registry alone. */
export class RegisteredSubsystem implements Subsystem {
  readonly id: string;
  readonly connection: OpenSubsystemConnection;
  name = '';
  description = '';
  metadata: Readonly<Record<string, string>> = {};
  capabilities: Capabilities | undefined;
  workflows: readonly WorkflowDefinition[] = [];
  life: SubsystemLife = NOT_REGISTERED;
  /** Grows with every change of any subsystem, so that one that comes back goes on from where it was. */
  sequence = 0;
  /** When it has last told what it offers, on the monotonic clock. */
  learnedAt = Number.NEGATIVE_INFINITY;
  /** By endpoint, while the call-back there fails. */
  readonly callBackFailures = new Map<string, CallBackFailure>();

  constructor(
    { id, ...said }: SubsystemDescription,
    readonly tenantId: string,
    readonly registeredAt: number,
    connections: SubsystemConnections,
    onUnreachable: (subsystem: RegisteredSubsystem, endpoint: string) => void,
  ) {
    this.id = id;
    this.describe(said);
    this.connection = connections.open(
      id,
      () => liveEndpoints(this.life),
      (endpoint) => onUnreachable(this, endpoint),
    );
  }

  get state(): SubsystemState {
    return subsystemState(this.life);
  }

  /** Of several instances the last to come has the word. */
  describe({ name, description, metadata }: Omit<SubsystemDescription, 'id'>): void {
    this.name = name === '' ? this.id : name;
    this.description = description;
    this.metadata = metadata;
  }
}
