import { selectedPods, type ExtractContext, type StatusDraft } from './extract-context.js';
import type { SlimOf } from './slim-object.js';

/** Healthy once accepted: many controllers never write an address, so waiting for one would never end. */
export function ingressStatus({ state }: SlimOf<'Ingress'>): StatusDraft {
  const details = { className: state.className, hosts: state.hosts, addresses: state.addresses };
  if (state.portError === null) return { health: 'healthy', details };
  return { health: 'degraded', reason: 'PortError', message: `port ${state.portError}`, details };
}

/** The API has no status for it: it is in force as soon as it exists. A selector that meets nothing is worth a word. */
export function networkPolicyStatus({ state }: SlimOf<'NetworkPolicy'>, context: ExtractContext): StatusDraft {
  if (selectedPods(context, state.podSelector).length > 0) return { health: 'healthy', details: { selectsPods: true } };
  return {
    health: 'healthy',
    reason: 'SelectsNoPods',
    message: 'no pod of the namespace matches its selector',
    details: { selectsPods: false },
  };
}
