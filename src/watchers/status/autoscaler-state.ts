import { readCondition, type Condition } from './conditions.js';
import { readCount, readObject, readText, type JsonObject } from './json-reader.js';

export interface AutoscalerState {
  readonly observedGeneration: number | null;
  /** `Deployment/web`. */
  readonly target: string;
  readonly min: number;
  readonly max: number;
  readonly current: number;
  readonly desired: number;
  readonly ableToScale: Condition | null;
  readonly scalingActive: Condition | null;
  readonly scalingLimited: Condition | null;
}

export function slimAutoscaler(raw: JsonObject): AutoscalerState {
  const spec = readObject(raw.spec);
  const status = readObject(raw.status);
  const target = readObject(spec.scaleTargetRef);
  return {
    observedGeneration: readCount(status.observedGeneration),
    target: `${readText(target.kind, 63) ?? '?'}/${readText(target.name) ?? '?'}`,
    min: readCount(spec.minReplicas) ?? 1,
    max: readCount(spec.maxReplicas) ?? 0,
    current: readCount(status.currentReplicas) ?? 0,
    desired: readCount(status.desiredReplicas) ?? 0,
    ableToScale: readCondition(status, 'AbleToScale'),
    scalingActive: readCondition(status, 'ScalingActive'),
    scalingLimited: readCondition(status, 'ScalingLimited'),
  };
}
