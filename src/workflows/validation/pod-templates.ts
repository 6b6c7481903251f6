import {
  type JsonObject,
  readObject,
  readObjects,
  readStringMap,
  readText,
} from '../../watchers/status/json-reader.js';
import type { Manifest, WorkflowNode } from '../workflow.js';

/** The pods that a node makes or is. */
export interface PodTemplate {
  readonly nodeId: string;
  readonly labels: Readonly<Record<string, string>> | null;
  readonly spec: JsonObject;
}

/** null for kinds without pods. */
export function podTemplateOf({ id: nodeId, manifest }: Pick<WorkflowNode, 'id' | 'manifest'>): PodTemplate | null {
  const template = templateOf(manifest);
  if (template === null) return null;
  const { labels } = readObject(template['metadata']);
  return { nodeId, labels: readStringMap(labels), spec: readObject(template['spec']) };
}

function templateOf(manifest: Manifest): JsonObject | null {
  const spec = readObject(manifest['spec']);
  switch (manifest.kind) {
    case 'Pod':
      return manifest;
    case 'Deployment':
    case 'ReplicaSet':
    case 'StatefulSet':
    case 'DaemonSet':
    case 'Job':
      return readObject(spec['template']);
    case 'CronJob':
      return readObject(readObject(readObject(spec['jobTemplate'])['spec'])['template']);
    default:
      return null;
  }
}

/** An object without which a pod does not start. */
export interface PodNeed {
  readonly kind: 'ConfigMap' | 'Secret' | 'PersistentVolumeClaim';
  readonly name: string;
}

/**
 * ConfigMaps, Secrets and claims that containers and volumes name and that are not optional.
 * https://kubernetes.io/docs/concepts/configuration/configmap/#using-configmaps
 */
export function needsOfPods({ spec }: PodTemplate): PodNeed[] {
  const containers = [...readObjects(spec['containers']), ...readObjects(spec['initContainers'])];
  const volumes = readObjects(spec['volumes']);
  const projected = volumes.flatMap((volume) => readObjects(readObject(volume['projected'])['sources']));
  const environment = containers.flatMap((container) => readObjects(container['env']));
  const sources = containers.flatMap((container) => readObjects(container['envFrom']));
  const references = [
    ...volumes.map((volume) => need('ConfigMap', volume['configMap'], 'name')),
    ...volumes.map((volume) => need('Secret', volume['secret'], 'secretName')),
    ...volumes.map((volume) => need('PersistentVolumeClaim', volume['persistentVolumeClaim'], 'claimName')),
    ...[...projected, ...sources].flatMap((source) => [
      need('ConfigMap', source['configMap'] ?? source['configMapRef'], 'name'),
      need('Secret', source['secret'] ?? source['secretRef'], 'name'),
    ]),
    ...environment.flatMap((variable) => {
      const from = readObject(variable['valueFrom']);
      return [need('ConfigMap', from['configMapKeyRef'], 'name'), need('Secret', from['secretKeyRef'], 'name')];
    }),
  ];
  return references.filter((reference) => reference !== null);
}

function need(kind: PodNeed['kind'], reference: unknown, field: string): PodNeed | null {
  const given = readObject(reference);
  const name = readText(given[field]);
  return name === null || given['optional'] === true ? null : { kind, name };
}
