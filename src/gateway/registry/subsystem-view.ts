import type { Capabilities } from '../gen/flowwatch/v1/types_pb.js';
import type { CallBackFailure } from './call-back-failure.js';
import type { RegisteredSubsystem } from './registered-subsystem.js';
import type { SubsystemState } from './subsystem-directory.js';
import { type InstanceLife, type SessionSource, instanceState } from './subsystem-life.js';

export interface CapabilitiesView {
  readonly retryRun: boolean;
  readonly retryFromStep: boolean;
  readonly cancelRun: boolean;
  readonly pauseRun: boolean;
  readonly resumeRun: boolean;
  readonly skipStep: boolean;
  readonly streaming: boolean;
  readonly analytics: boolean;
  readonly search: boolean;
}

export interface SubsystemInstanceView {
  readonly endpoint: string;
  readonly source: SessionSource;
  readonly state: SubsystemState;
  readonly sessions: number;
  readonly lastBeatAt: string;
  readonly roundTripMs: number | null;
  readonly failure: CallBackFailure | null;
}

/** A subsystem as REST and streams show it. */
export interface SubsystemView {
  readonly id: string;
  readonly tenantId: string;
  readonly name: string;
  readonly description: string;
  readonly state: SubsystemState;
  readonly instances: readonly SubsystemInstanceView[];
  readonly capabilities: CapabilitiesView | null;
  readonly workflowCount: number;
  readonly metadata: Readonly<Record<string, string>>;
  readonly registeredAt: string;
  readonly lastBeatAt: string | null;
  readonly roundTripMs: number | null;
}

/** @param toWallTime milliseconds since the epoch of a monotonic time. */
export function subsystemView(subsystem: RegisteredSubsystem, toWallTime: (at: number) => number): SubsystemView {
  const instances = subsystem.life.instances.map((instance) => instanceView(subsystem, instance, toWallTime));
  // All in the one form of ISO 8601, so that text order is time order.
  const latest = instances.toSorted((a, b) => (a.lastBeatAt < b.lastBeatAt ? 1 : -1))[0];
  return {
    id: subsystem.id,
    tenantId: subsystem.tenantId,
    name: subsystem.name,
    description: subsystem.description,
    state: subsystem.state,
    instances,
    capabilities: subsystem.capabilities ? capabilitiesView(subsystem.capabilities) : null,
    workflowCount: subsystem.workflows.length,
    metadata: subsystem.metadata,
    registeredAt: new Date(subsystem.registeredAt).toISOString(),
    lastBeatAt: latest?.lastBeatAt ?? null,
    roundTripMs: latest?.roundTripMs ?? null,
  };
}

function instanceView(
  { callBackFailures }: RegisteredSubsystem,
  instance: InstanceLife,
  toWallTime: (at: number) => number,
): SubsystemInstanceView {
  const { endpoint, sessions, lastBeatAt, roundTripMs } = instance;
  return {
    endpoint,
    source: sessions.some(({ source }) => source === 'rest') ? 'rest' : 'stream',
    state: instanceState(instance),
    sessions: sessions.length,
    lastBeatAt: new Date(Math.round(toWallTime(lastBeatAt))).toISOString(),
    roundTripMs: roundTripMs === null ? null : Math.round(roundTripMs),
    failure: callBackFailures.get(endpoint) ?? null,
  };
}

function capabilitiesView(capabilities: Capabilities): CapabilitiesView {
  const { retryRun, retryFromStep, cancelRun, pauseRun, resumeRun, skipStep, streaming, analytics } = capabilities;
  const search = capabilities.search?.enabled ?? false;
  return { retryRun, retryFromStep, cancelRun, pauseRun, resumeRun, skipStep, streaming, analytics, search };
}
