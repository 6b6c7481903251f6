import type { Condition } from './conditions.js';
import { waitFor } from './deadline.js';
import type { ExtractContext, StatusDraft } from './extract-context.js';
import type { SlimOf } from './slim-object.js';

/** Metrics are missing in the first moments of every pod: no alarm before this. */
const METRICS_GRACE_MS = 60_000;

const SCALE_FAILURES = new Set(['FailedGetScale', 'FailedUpdateScale']);
const METRIC_FAILURES = new Set([
  'FailedGetResourceMetric',
  'FailedGetContainerResourceMetric',
  'FailedGetObjectMetric',
  'FailedGetPodsMetric',
  'FailedGetExternalMetric',
  'FailedComputeMetricsReplicas',
]);

export function autoscalerStatus(autoscaler: SlimOf<'HorizontalPodAutoscaler'>, context: ExtractContext): StatusDraft {
  const { state } = autoscaler;
  const { ableToScale, scalingActive, scalingLimited, target, min, max, current, desired } = state;
  const base = { details: { target, min, max, current, desired } };

  if (state.observedGeneration !== null && state.observedGeneration < (autoscaler.generation ?? 0)) {
    const message = `its controller has not seen generation ${autoscaler.generation ?? 0} yet`;
    return awaitController(base, context, 'GenerationNotObserved', message);
  }
  if (isFalse(ableToScale) && SCALE_FAILURES.has(ableToScale.reason ?? '')) return failed(base, ableToScale);
  if (isFalse(scalingActive)) {
    if (scalingActive.reason === 'ScalingDisabled') {
      const message = `${target} is scaled to 0, which switches autoscaling off`;
      return { ...base, health: 'suspended', reason: 'ScalingDisabled', message };
    }
    if (METRIC_FAILURES.has(scalingActive.reason ?? ''))
      return withoutMetrics(base, scalingActive, autoscaler, context);
    if (scalingActive.reason === 'InvalidSelector' || scalingActive.reason === 'AmbiguousSelector') {
      return failed(base, scalingActive);
    }
  }
  if (ableToScale?.status === 'True' || scalingLimited?.status === 'True') {
    const atMaximum = scalingLimited?.status === 'True' && scalingLimited.reason === 'TooManyReplicas';
    if (!atMaximum) return { ...base, health: 'healthy' };
    const message = `more than the maximum of ${max} replicas would be needed`;
    return { ...base, health: 'healthy', reason: 'TooManyReplicas', message };
  }
  return awaitController(base, context, 'AwaitingController', `${target} is not scaled by it yet`);
}

function isFalse(condition: Condition | null): condition is Condition {
  return condition?.status === 'False';
}

function failed(base: Pick<StatusDraft, 'details'>, { reason, message }: Condition): StatusDraft {
  return { ...base, health: 'degraded', reason, message };
}

function withoutMetrics(
  base: Pick<StatusDraft, 'details'>,
  condition: Condition,
  autoscaler: SlimOf<'HorizontalPodAutoscaler'>,
  context: ExtractContext,
): StatusDraft {
  const { reason, message } = condition;
  const since = condition.since ?? autoscaler.createdAt ?? context.now;
  const remaining = since + METRICS_GRACE_MS - context.now;
  if (remaining <= 0) return failed(base, condition);
  return { ...base, health: 'progressing', reason, message, recheckAfterMs: remaining };
}

function awaitController(
  base: Pick<StatusDraft, 'details'>,
  context: ExtractContext,
  reason: string,
  message: string,
): StatusDraft {
  const wait = waitFor(message, context.previous, context.now);
  return {
    health: wait.exceeded ? 'degraded' : 'progressing',
    reason,
    message: wait.exceeded ? `${message}, since ${wait.details.waitingSince}` : message,
    details: { ...base.details, ...wait.details },
    recheckAfterMs: wait.recheckAfterMs,
  };
}
