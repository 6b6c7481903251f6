import type { StatusDraft } from './extract-context.js';
import type { SlimOf } from './slim-object.js';

export function persistentVolumeClaimStatus({ state }: SlimOf<'PersistentVolumeClaim'>): StatusDraft {
  const { phase, volume, storageClass, requested, capacity, accessModes } = state;
  const base = { details: { phase, volume, storageClass, requested, capacity, accessModes } };
  if (phase === 'Lost') {
    return { ...base, health: 'degraded', reason: 'Lost', message: `its volume ${volume ?? '?'} no longer exists` };
  }
  if (phase !== 'Bound') return { ...base, health: 'progressing', ...whyUnbound(state.nodeChosen, volume) };
  if (state.failure !== null) {
    const { reason, message } = state.failure;
    return { ...base, health: 'degraded', reason, message: message ?? 'the storage driver refused the change' };
  }
  if (state.resizing !== null) {
    const { reason, message } = state.resizing;
    const sizes = `${capacity ?? '?'} now, ${requested ?? '?'} requested`;
    return { ...base, health: 'progressing', reason, message: message ?? sizes };
  }
  return { ...base, health: 'healthy' };
}

/** The claim does not tell the binding mode of its class, and waiting for a consumer may last for ever: no deadline here. */
function whyUnbound(nodeChosen: boolean, volume: string | null): { reason: string; message: string } {
  if (nodeChosen) return { reason: 'Provisioning', message: 'a pod uses it, its volume is being provisioned' };
  if (volume !== null) return { reason: 'Binding', message: `waits to be bound to the volume ${volume}` };
  return {
    reason: 'WaitingForVolume',
    message:
      'no volume is bound yet; with a storage class of binding mode WaitForFirstConsumer this lasts until a pod uses it',
  };
}
