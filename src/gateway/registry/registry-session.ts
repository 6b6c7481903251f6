import type { Capabilities, WorkflowDefinition } from '../gen/flowwatch/v1/types_pb.js';
import type { RegisteredSubsystem, SubsystemDescription } from './registered-subsystem.js';
import { type SessionSource, type SubsystemLife, instanceAt } from './subsystem-life.js';

export interface NewSession extends SubsystemDescription {
  readonly tenantId: string;
  /** The origin of its endpoint, as `parseSubsystemEndpoint` gives it. */
  readonly endpoint: string;
  readonly source: SessionSource;
  /** Ends the stream. Called at most once, and not after `close`. */
  readonly end: (reason: string) => void;
  /** What it says that it offers: holds until a call-back tells. */
  readonly first?: {
    readonly capabilities: Capabilities | undefined;
    readonly workflows: readonly WorkflowDefinition[];
  };
}

export interface RegistrySession {
  readonly subsystem: RegisteredSubsystem;
  pinged(): void;
  /** An answer to a ping. */
  answered(roundTripMs: number): void;
  /** Ends this session and nothing else. Idempotent. */
  close(): void;
}

/** The id belongs to a subsystem of another tenant. */
export class SubsystemIdTaken extends Error {}

/** There is no room for one more stream of this subsystem. */
export class RegistryFull extends Error {}

/**
 * Far beyond what runs, but a bound for who registers again and again: what has gone is kept for the grace period, and a
 * half-open stream until it has been silent for as long. What people register is not counted.
 */
export const REGISTRY_LIMITS = { subsystems: 10_000, instances: 128, sessions: 16 } as const;

/**
 * @param registered how many subsystems there are.
 * @param known of the one that registers, if it has before.
 * @throws RegistryFull
 */
export function requireRoom(registered: number, known: SubsystemLife | undefined, endpoint: string): void {
  const { subsystems, instances, sessions } = REGISTRY_LIMITS;
  if (!known) {
    if (registered >= subsystems) throw new RegistryFull(`there are ${subsystems} subsystems already; try later`);
    return;
  }
  const instance = instanceAt(known, endpoint);
  if (!instance && known.instances.length >= instances) {
    throw new RegistryFull(`the subsystem has ${instances} instances already; try later`);
  }
  if (instance && instance.sessions.length >= sessions) {
    throw new RegistryFull(`the endpoint has ${sessions} registration streams already; try later`);
  }
}
