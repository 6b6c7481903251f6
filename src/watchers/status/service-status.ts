import { counted } from '../../runtime/counted.js';
import { waitFor } from './deadline.js';
import { selectedPods, soonest, type ExtractContext, type StatusDraft } from './extract-context.js';
import type { SlimOf } from './slim-object.js';

/**
 * A Service is healthy when it has what it promises: an address, and a ready pod behind it. Without one it answers nobody:
 * progressing until the deadline, and degraded at once when it had one before. A headless Service only gives names, which
 * StatefulSets need before their first pod: it is healthy without pods until it has had some.
 */
export function serviceStatus(service: SlimOf<'Service'>, context: ExtractContext): StatusDraft {
  const { state } = service;
  const pods = state.selector === null ? null : selectedPods(context, state.selector);
  const standing = pods?.filter((pod) => pod.deletedAt === null && !isOver(pod.state.phase));
  const serving = standing?.filter((pod) => pod.state.ready || state.publishNotReady).length ?? null;
  const hadReadyPods = (serving ?? 0) > 0 || context.previous?.details.hadReadyPods === true;
  const details = {
    type: state.type,
    clusterIp: state.clusterIp,
    ports: state.ports,
    addresses: [...state.addresses, ...state.externalIps],
    ...(serving === null ? {} : { selectedPods: standing?.length ?? 0, readyPods: serving, hadReadyPods }),
  };
  const base = { details };

  if (state.type === 'ExternalName') {
    return { health: 'healthy', details: { ...details, externalName: state.externalName } };
  }
  if (state.portsError !== null) {
    const { reason, message } = state.portsError;
    return { ...base, health: 'degraded', reason: reason ?? 'LoadBalancerPortsError', message };
  }
  if (state.portError !== null) {
    return { ...base, health: 'degraded', reason: 'LoadBalancerPortsError', message: `port ${state.portError}` };
  }
  if (state.type === 'LoadBalancer' && details.addresses.length === 0) {
    return pending(base, context, 'LoadBalancerPending', 'has no address from a load balancer yet');
  }
  if (state.clusterIp === null) return pending(base, context, 'ClusterIPPending', 'has no cluster IP yet');
  if (serving === null || serving > 0) return { ...base, health: 'healthy' };

  const selected = standing?.length ?? 0;
  const message = selected === 0 ? 'no pod matches its selector' : `none of its ${counted(selected, 'pod')} is ready`;
  if (hadReadyPods) return { ...base, health: 'degraded', reason: 'NoReadyPods', message };
  if (state.headless) return { ...base, health: 'healthy', reason: 'Headless', message: `${message} yet` };
  return pending(base, context, 'NoReadyPods', message, 'a first ready pod');
}

function isOver(phase: string): boolean {
  return phase === 'Succeeded' || phase === 'Failed';
}

function pending(
  base: Pick<StatusDraft, 'details' | 'recheckAfterMs'>,
  context: ExtractContext,
  reason: string,
  message: string,
  waitingFor = message,
): StatusDraft {
  const wait = waitFor(waitingFor, context.previous, context.now);
  return {
    health: wait.exceeded ? 'degraded' : 'progressing',
    reason,
    message: wait.exceeded ? `${message}, since ${wait.details.waitingSince}` : message,
    details: { ...base.details, ...wait.details },
    recheckAfterMs: soonest(base.recheckAfterMs, wait.recheckAfterMs),
  };
}
