import { readFirstTrueCondition, type Condition } from './conditions.js';
import { readObject, readStrings, readText, type JsonObject } from './json-reader.js';

export interface PersistentVolumeClaimState {
  readonly phase: string | null;
  readonly volume: string | null;
  readonly storageClass: string | null;
  readonly requested: string | null;
  readonly capacity: string | null;
  readonly accessModes: readonly string[];
  /** The scheduler has chosen a node for the first consumer. */
  readonly nodeChosen: boolean;
  /** A resize or modification that the driver refused. */
  readonly failure: Condition | null;
  /** A resize that is going on. */
  readonly resizing: Condition | null;
}

const FAILURES = ['ControllerResizeError', 'NodeResizeError', 'ModifyVolumeError'];

export function slimPersistentVolumeClaim(raw: JsonObject): PersistentVolumeClaimState {
  const spec = readObject(raw.spec);
  const status = readObject(raw.status);
  const annotations = readObject(readObject(raw.metadata).annotations);
  return {
    phase: readText(status.phase),
    volume: readText(spec.volumeName),
    storageClass: readText(spec.storageClassName),
    requested: readText(readObject(readObject(spec.resources).requests).storage, 40),
    capacity: readText(readObject(status.capacity).storage, 40),
    accessModes: readStrings(status.accessModes).slice(0, 4),
    nodeChosen: readText(annotations['volume.kubernetes.io/selected-node']) !== null,
    failure: readFirstTrueCondition(status, FAILURES) ?? infeasible(status),
    resizing: readFirstTrueCondition(status, ['Resizing', 'FileSystemResizePending', 'ModifyingVolume']),
  };
}

/** Servers with recoverable resizing tell a refusal outside the conditions. */
function infeasible(status: JsonObject): Condition | null {
  const resize = readText(readObject(status.allocatedResourceStatuses).storage) ?? '';
  const modify = readObject(status.modifyVolumeStatus);
  const reason = resize.endsWith('Infeasible')
    ? resize
    : modify.status === 'Infeasible'
      ? 'ModifyVolumeInfeasible'
      : null;
  return reason === null ? null : { status: 'True', reason, message: null, since: null };
}
