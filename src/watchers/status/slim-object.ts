import { slimAutoscaler, type AutoscalerState } from './autoscaler-state.js';
import { slimCronJob, slimJob, type CronJobState, type JobState } from './batch-state.js';
import { readObject, type JsonObject } from './json-reader.js';
import {
  slimIngress,
  slimNetworkPolicy,
  slimService,
  type IngressState,
  type NetworkPolicyState,
  type ServiceState,
} from './network-state.js';
import { slimPod, type PodState } from './pod-state.js';
import { slimMetadata, type SlimMetadata } from './slim-metadata.js';
import { slimPersistentVolumeClaim, type PersistentVolumeClaimState } from './storage-state.js';
import {
  slimDaemonSet,
  slimDeployment,
  slimReplicaSet,
  slimStatefulSet,
  type DaemonSetState,
  type DeploymentState,
  type ReplicaSetState,
  type StatefulSetState,
} from './workload-state.js';

/** What is kept of each kind, beside the metadata. */
export interface StateByKind {
  readonly Deployment: DeploymentState;
  readonly Service: ServiceState;
  readonly StatefulSet: StatefulSetState;
  readonly DaemonSet: DaemonSetState;
  readonly Job: JobState;
  readonly CronJob: CronJobState;
  readonly Ingress: IngressState;
  readonly ConfigMap: null;
  readonly Secret: null;
  readonly PersistentVolumeClaim: PersistentVolumeClaimState;
  readonly Pod: PodState;
  readonly ReplicaSet: ReplicaSetState;
  readonly HorizontalPodAutoscaler: AutoscalerState;
  readonly NetworkPolicy: NetworkPolicyState;
}

export type StatusKind = keyof StateByKind;

/** One watched object, reduced to what its status and its owners' need: no data, environment, command or annotation. */
export type SlimOf<K extends StatusKind> = SlimMetadata & { readonly kind: K; readonly state: StateByKind[K] };
export type SlimObject = { [K in StatusKind]: SlimOf<K> }[StatusKind];

const existence = (): null => null;

const SLIMMERS: { readonly [K in StatusKind]: (raw: JsonObject) => StateByKind[K] } = {
  Deployment: slimDeployment,
  Service: slimService,
  StatefulSet: slimStatefulSet,
  DaemonSet: slimDaemonSet,
  Job: slimJob,
  CronJob: slimCronJob,
  Ingress: slimIngress,
  ConfigMap: existence,
  Secret: existence,
  PersistentVolumeClaim: slimPersistentVolumeClaim,
  Pod: slimPod,
  ReplicaSet: slimReplicaSet,
  HorizontalPodAutoscaler: slimAutoscaler,
  NetworkPolicy: slimNetworkPolicy,
};

export function isStatusKind(kind: string): kind is StatusKind {
  return Object.hasOwn(SLIMMERS, kind);
}

/**
 * Reduces raw JSON, or PartialObjectMetadata, as a watch delivers it. Reads nothing from the JSON but the fields it keeps;
 * missing and wrong fields become neutral values.
 *
 * @throws TypeError for a kind that is not one of the 14: a mistake of the caller, not of the data.
 */
export function slimObject(kind: string, rawObject: unknown): SlimObject {
  if (!isStatusKind(kind)) throw new TypeError(`no status is known for the kind ${kind}`);
  const raw = readObject(rawObject);
  // The table gives each kind its own state; TypeScript cannot follow that through the union.
  return { kind, ...slimMetadata(raw, kind === 'Pod'), state: SLIMMERS[kind](raw) } as SlimObject;
}
