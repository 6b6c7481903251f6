import { readCondition, readTrueCondition, type Condition } from './conditions.js';
import { readCount, readObject, readText, type JsonObject } from './json-reader.js';

/** What Deployment, StatefulSet, DaemonSet and ReplicaSet have in common; `desired` replicas stand against the counts. */
export interface ReplicaCounts {
  readonly observedGeneration: number | null;
  readonly desired: number;
  /** Existing ones, old and new. */
  readonly replicas: number;
  readonly updated: number;
  readonly ready: number;
  readonly available: number;
}

export interface DeploymentState extends ReplicaCounts {
  readonly paused: boolean;
  readonly recreate: boolean;
  /** Resolved to a number of replicas. */
  readonly maxUnavailable: number;
  readonly progressing: Condition | null;
  readonly replicaFailure: Condition | null;
}

export interface ReplicaSetState extends ReplicaCounts {
  readonly replicaFailure: Condition | null;
}

export interface StatefulSetState extends ReplicaCounts {
  readonly onDelete: boolean;
  readonly partition: number;
  readonly maxUnavailable: number;
  /** currentRevision and updateRevision are one. */
  readonly sameRevision: boolean;
}

export interface DaemonSetState extends ReplicaCounts {
  readonly onDelete: boolean;
  readonly maxUnavailable: number;
  readonly misscheduled: number;
}

export function slimDeployment(raw: JsonObject): DeploymentState {
  const spec = readObject(raw.spec);
  const status = readObject(raw.status);
  const strategy = readObject(spec.strategy);
  const rolling = readObject(strategy.rollingUpdate);
  const desired = readCount(spec.replicas) ?? 1;
  const surge = resolve(rolling.maxSurge ?? '25%', desired, 'up');
  const unavailable = resolve(rolling.maxUnavailable ?? '25%', desired, 'down');
  return {
    ...counts(status, desired),
    paused: spec.paused === true,
    recreate: strategy.type === 'Recreate',
    // The controller never lets both be zero: nothing could roll out then.
    maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable,
    progressing: readCondition(status, 'Progressing'),
    replicaFailure: readTrueCondition(status, 'ReplicaFailure'),
  };
}

export function slimReplicaSet(raw: JsonObject): ReplicaSetState {
  const status = readObject(raw.status);
  return {
    ...counts(status, readCount(readObject(raw.spec).replicas) ?? 1),
    replicaFailure: readTrueCondition(status, 'ReplicaFailure'),
  };
}

export function slimStatefulSet(raw: JsonObject): StatefulSetState {
  const spec = readObject(raw.spec);
  const status = readObject(raw.status);
  const strategy = readObject(spec.updateStrategy);
  const rolling = readObject(strategy.rollingUpdate);
  const desired = readCount(spec.replicas) ?? 1;
  return {
    ...counts(status, desired),
    onDelete: strategy.type === 'OnDelete',
    partition: readCount(rolling.partition) ?? 0,
    maxUnavailable: Math.max(1, resolve(rolling.maxUnavailable ?? 1, desired, 'down')),
    sameRevision: readText(status.currentRevision) === readText(status.updateRevision),
  };
}

export function slimDaemonSet(raw: JsonObject): DaemonSetState {
  const status = readObject(raw.status);
  const strategy = readObject(readObject(raw.spec).updateStrategy);
  const desired = readCount(status.desiredNumberScheduled) ?? 0;
  return {
    observedGeneration: readCount(status.observedGeneration),
    desired,
    replicas: readCount(status.currentNumberScheduled) ?? 0,
    updated: readCount(status.updatedNumberScheduled) ?? 0,
    ready: readCount(status.numberReady) ?? 0,
    available: readCount(status.numberAvailable) ?? 0,
    onDelete: strategy.type === 'OnDelete',
    maxUnavailable: resolve(readObject(strategy.rollingUpdate).maxUnavailable ?? 1, desired, 'up'),
    misscheduled: readCount(status.numberMisscheduled) ?? 0,
  };
}

function counts(status: JsonObject, desired: number): ReplicaCounts {
  return {
    observedGeneration: readCount(status.observedGeneration),
    desired,
    replicas: readCount(status.replicas) ?? 0,
    updated: readCount(status.updatedReplicas) ?? 0,
    ready: readCount(status.readyReplicas) ?? 0,
    available: readCount(status.availableReplicas) ?? 0,
  };
}

/** An IntOrString: a number, or a percentage of the desired replicas. */
function resolve(value: unknown, desired: number, round: 'up' | 'down'): number {
  const percent = typeof value === 'string' ? /^(\d+)%$/.exec(value)?.[1] : undefined;
  if (percent === undefined) return readCount(value) ?? 0;
  const exact = (Number(percent) * desired) / 100;
  return round === 'up' ? Math.ceil(exact) : Math.floor(exact);
}
