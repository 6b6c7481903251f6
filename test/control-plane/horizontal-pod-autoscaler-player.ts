import type { V1Scale, V2HorizontalPodAutoscaler, V2HorizontalPodAutoscalerStatus } from '@kubernetes/client-node';
import type { ClusterAccess } from './cluster-access.ts';
import { ObjectFeed } from './object-feed.ts';

const collections: Record<string, string> = {
  Deployment: 'deployments',
  ReplicaSet: 'replicasets',
  StatefulSet: 'statefulsets',
};

/** Writes the status of an autoscaler that is content: it reports its target's replicas and never changes them. */
export class HorizontalPodAutoscalerPlayer {
  private readonly access: ClusterAccess;
  private readonly log: (line: string) => void;
  private readonly autoscalers: ObjectFeed<V2HorizontalPodAutoscaler>;
  private timer: NodeJS.Timeout | undefined;
  private round: Promise<void> | undefined;

  constructor(access: ClusterAccess, log: (line: string) => void) {
    this.access = access;
    this.log = log;
    const ignore = (): void => undefined;
    this.autoscalers = new ObjectFeed<V2HorizontalPodAutoscaler>(
      access,
      '/apis/autoscaling/v2/horizontalpodautoscalers',
      { present: ignore, gone: ignore },
    );
  }

  start(): void {
    this.autoscalers.start();
    // Targets of many kinds change without a word to the autoscaler: asked for, not watched.
    this.timer = setInterval(() => {
      this.round ??= this.refresh().finally(() => (this.round = undefined));
    }, 250);
  }

  async stop(): Promise<void> {
    clearInterval(this.timer);
    await this.round;
    await this.autoscalers.stop();
  }

  private async refresh(): Promise<void> {
    for (const autoscaler of this.autoscalers.values()) {
      try {
        await this.report(autoscaler);
      } catch (error) {
        this.log(`autoscaler: ${error instanceof Error ? error.message : String(error)}`);
      }
    }
  }

  private async report(autoscaler: V2HorizontalPodAutoscaler): Promise<void> {
    const namespace = autoscaler.metadata?.namespace ?? '';
    const target = autoscaler.spec?.scaleTargetRef;
    const collection = collections[target?.kind ?? ''];
    if (!target || !collection) return;
    const scale = await this.access.request<V1Scale>(
      'GET',
      `/apis/apps/v1/namespaces/${namespace}/${collection}/${target.name}/scale`,
    );
    const replicas = scale.status === 200 ? (scale.body.status?.replicas ?? 0) : undefined;
    if (isReported(autoscaler, replicas)) return;
    const path = `/apis/autoscaling/v2/namespaces/${namespace}/horizontalpodautoscalers/${autoscaler.metadata?.name ?? ''}`;
    const body = { status: statusFor(autoscaler, replicas) };
    await this.access.request('PATCH', `${path}/status`, body, 'application/merge-patch+json');
  }
}

function isReported(autoscaler: V2HorizontalPodAutoscaler, replicas: number | undefined): boolean {
  const able = autoscaler.status?.conditions?.find(({ type }) => type === 'AbleToScale')?.status;
  if (replicas === undefined) return able === 'False';
  return able === 'True' && (autoscaler.status?.currentReplicas ?? 0) === replicas;
}

function statusFor(
  autoscaler: V2HorizontalPodAutoscaler,
  replicas: number | undefined,
): V2HorizontalPodAutoscalerStatus {
  const lastTransitionTime = new Date();
  const generation = autoscaler.metadata?.generation;
  const observed = generation === undefined ? {} : { observedGeneration: generation };
  if (replicas === undefined) {
    const reason = 'FailedGetScale';
    const message = 'the played autoscaler finds no such target';
    const able = { type: 'AbleToScale', status: 'False', reason, message, lastTransitionTime };
    return { ...observed, currentReplicas: 0, desiredReplicas: 0, conditions: [able] };
  }
  return {
    ...observed,
    currentReplicas: replicas,
    desiredReplicas: replicas,
    conditions: [
      { type: 'AbleToScale', status: 'True', reason: 'ReadyForNewScale', lastTransitionTime },
      { type: 'ScalingActive', status: 'True', reason: 'ValidMetricFound', lastTransitionTime },
    ],
  };
}
