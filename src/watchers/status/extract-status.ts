import { autoscalerStatus } from './autoscaler-status.js';
import { cronJobStatus } from './cron-job-status.js';
import { daemonSetStatus } from './daemon-set-status.js';
import { assessDeletion } from './deletion.js';
import { deploymentStatus } from './deployment-status.js';
import { existenceStatus } from './existence-status.js';
import { soonest, type ExtractContext, type ExtractedStatus, type Extractor } from './extract-context.js';
import { jobStatus } from './job-status.js';
import { ingressStatus, networkPolicyStatus } from './network-status.js';
import { podStatus } from './pod-status.js';
import { replicaSetStatus } from './replica-set-status.js';
import { serviceStatus } from './service-status.js';
import type { SlimObject, SlimOf, StatusKind } from './slim-object.js';
import { statefulSetStatus } from './stateful-set-status.js';
import { persistentVolumeClaimStatus } from './storage-status.js';

export type { ExtractContext, ExtractedStatus } from './extract-context.js';
export { matchesSelector, type LabelSelector } from './label-selector.js';
export { isStatusKind, slimObject, type SlimObject, type SlimOf, type StatusKind } from './slim-object.js';
export { rollUpRules, statusDependencies, type StatusDependencies } from './status-dependencies.js';

const EXTRACTORS: { readonly [K in StatusKind]: Extractor<K> } = {
  Deployment: deploymentStatus,
  Service: serviceStatus,
  StatefulSet: statefulSetStatus,
  DaemonSet: daemonSetStatus,
  Job: jobStatus,
  CronJob: cronJobStatus,
  Ingress: ingressStatus,
  ConfigMap: existenceStatus,
  Secret: existenceStatus,
  PersistentVolumeClaim: persistentVolumeClaimStatus,
  Pod: podStatus,
  ReplicaSet: replicaSetStatus,
  HorizontalPodAutoscaler: autoscalerStatus,
  NetworkPolicy: networkPolicyStatus,
};

/** The status of an object among its children. Pure: equal inputs give deeply equal outputs, and nothing is thrown. */
export function extractStatus(object: SlimObject, context: ExtractContext): ExtractedStatus {
  const draft = extractorOf(object.kind)(object, context);
  const deletion = assessDeletion(object, context.now, object.kind === 'Pod' ? object.state.node : null);
  const status = {
    health: draft.health,
    rollout: draft.rollout ?? null,
    reason: draft.reason ?? null,
    message: draft.message ?? null,
    details: draft.details ?? {},
    children: draft.children ?? [],
    recheckAfterMs: draft.recheckAfterMs ?? null,
  };
  if (deletion === null) return status;
  return { ...status, ...deletion, recheckAfterMs: soonest(status.recheckAfterMs, deletion.recheckAfterMs) };
}

function extractorOf<K extends StatusKind>(
  kind: K,
): (object: SlimOf<K>, context: ExtractContext) => ReturnType<Extractor<K>> {
  return EXTRACTORS[kind];
}
