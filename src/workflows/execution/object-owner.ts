import { FIELD_MANAGER, managerNames, managersOf, type ObjectMeta } from '../../kubernetes/index.js';
import type { Manifest } from '../workflow.js';

const MANAGED_BY = 'app.kubernetes.io/managed-by';
const INSTALLATION = 'crowsnest.io/installation';
const WORKFLOW = 'crowsnest.io/workflow';
const NODE = 'crowsnest.io/node';

/** Whose an object is, as its labels say. */
export interface ObjectOwner {
  readonly installationId: string;
  readonly workflowId: string;
  readonly nodeId: string;
}

/**
 * Whether the labels say that the object is this workflow's. Server-side apply cannot tell: two field managers of the
 * same name raise no conflict. The node may differ, because a node can be renamed and keep its object.
 */
export function isOwnedBy(metadata: ObjectMeta, owner: Omit<ObjectOwner, 'nodeId'>): boolean {
  const { labels = {} } = metadata;
  return (
    labels[MANAGED_BY] === FIELD_MANAGER &&
    labels[INSTALLATION] === owner.installationId &&
    labels[WORKFLOW] === owner.workflowId
  );
}

/** Who manages an object that is not ours: its field managers, and what its labels name. */
export function foreignManagers(metadata: ObjectMeta): string[] {
  const { labels = {} } = metadata;
  const labelled = labels[MANAGED_BY];
  const installation = labels[INSTALLATION] === undefined ? [] : [`crowsnest installation ${labels[INSTALLATION]}`];
  return [...new Set([...managerNames(metadata.managedFields), ...(labelled ? [labelled] : []), ...installation])];
}

/** Whether we have ever applied to the object. */
export function wasAppliedByUs(metadata: ObjectMeta): boolean {
  return (metadata.managedFields ?? []).some(
    ({ manager, operation }) => manager === FIELD_MANAGER && operation === 'Apply',
  );
}

/**
 * Who set `spec.replicas` through the scale subresource: `kubectl scale`, an autoscaler. Their wish is newer than the
 * manifest's and would only be fought over.
 */
export function scalersOf(metadata: ObjectMeta): string[] {
  const owners = managersOf(metadata.managedFields, ['spec', 'replicas']);
  return [...new Set(owners.filter(({ subresource }) => subresource === 'scale').map(({ manager }) => manager))];
}

/** What is sent: the manifest in its namespace, with the owner's labels on the object itself and nowhere below. */
export function desiredManifest(
  manifest: Manifest,
  { namespace, owner, withoutReplicas }: { namespace: string; owner: ObjectOwner; withoutReplicas: boolean },
): Record<string, unknown> {
  const given = manifest.metadata['labels'];
  const labels = {
    ...(typeof given === 'object' ? given : {}),
    [MANAGED_BY]: FIELD_MANAGER,
    [INSTALLATION]: owner.installationId,
    [WORKFLOW]: owner.workflowId,
    [NODE]: owner.nodeId,
  };
  const desired: Record<string, unknown> = {
    ...(manifest.kind === 'Secret' ? withoutStringData(manifest) : manifest),
    metadata: { ...manifest.metadata, namespace, labels },
  };
  if (withoutReplicas && setsReplicas(manifest)) {
    const { replicas: _yielded, ...spec } = manifest['spec'] as Record<string, unknown>;
    desired['spec'] = spec;
  }
  return desired;
}

/**
 * `stringData` as `data`: the API server turns one into the other after it has looked for conflicts, so that an apply of
 * `stringData` overrides other managers' values without a word and never removes a key.
 */
function withoutStringData({ stringData, ...manifest }: Manifest): Record<string, unknown> {
  if (typeof stringData !== 'object' || stringData === null) return manifest;
  const { data } = manifest;
  const encoded = Object.entries(stringData).map(([key, value]) => [
    key,
    Buffer.from(String(value)).toString('base64'),
  ]);
  return { ...manifest, data: { ...(typeof data === 'object' ? data : {}), ...Object.fromEntries(encoded) } };
}

export function setsReplicas(manifest: Manifest): boolean {
  const { spec } = manifest;
  return typeof spec === 'object' && spec !== null && Object.hasOwn(spec, 'replicas');
}
