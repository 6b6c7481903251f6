import type { ChildKind } from './child-status.js';
import { isStatusKind, type StatusKind } from './slim-object.js';

/** What the status of a kind is made of, beside the object itself; all of it in the object's namespace. */
export interface StatusDependencies {
  /** Kinds owned by it, directly or through another of the list: found by controller references. */
  readonly owned: readonly ChildKind[];
  /** Whether it selects pods by their labels. */
  readonly selectsPods: boolean;
}

const NONE: StatusDependencies = { owned: [], selectsPods: false };
const PODS: StatusDependencies = { owned: ['Pod'], selectsPods: false };
const SELECTED: StatusDependencies = { owned: [], selectsPods: true };

const DEPENDENCIES: Readonly<Record<StatusKind, StatusDependencies>> = {
  Deployment: { owned: ['ReplicaSet', 'Pod'], selectsPods: false },
  Service: SELECTED,
  StatefulSet: PODS,
  DaemonSet: PODS,
  Job: PODS,
  CronJob: { owned: ['Job', 'Pod'], selectsPods: false },
  Ingress: NONE,
  ConfigMap: NONE,
  Secret: NONE,
  PersistentVolumeClaim: NONE,
  Pod: NONE,
  ReplicaSet: PODS,
  HorizontalPodAutoscaler: NONE,
  NetworkPolicy: SELECTED,
};

/** What a kind rolls up; nothing for a kind that is not one of the 14. */
export function rollUpRules(kind: string): StatusDependencies {
  return isStatusKind(kind) ? DEPENDENCIES[kind] : NONE;
}

/** The kinds that must be watched in an object's namespace for its status, beside its own. */
export function statusDependencies(kind: string): readonly string[] {
  const { owned, selectsPods } = rollUpRules(kind);
  return selectsPods ? [...owned, 'Pod'] : owned;
}
