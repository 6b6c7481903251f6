import { isDeepStrictEqual } from 'node:util';
import { type KindDefinition, apiVersionOf, pathOf } from './kinds.js';
import { type ApiResponse, type KubernetesApi, KubernetesApiError } from './kubernetes-api.js';
import { AS_METADATA, type ObjectMeta, asObject } from './object-meta.js';
import { type Refusal, refusalOf } from './apply-refusal.js';

export const FIELD_MANAGER = 'crowsnest';

const APPLY_MS = 30_000;
const APPLY_PATCH = 'application/apply-patch+yaml';

/**
 * Makes an apply a pure creation. Tried on Kubernetes 1.36: an apply that names a resource version is refused with 409
 * when the object exists in another one, and goes through when there is no object; no object has version 1, because
 * etcd has given that number before the first write.
 */
const NO_OBJECT_YET = '1';

export interface ObjectReference {
  readonly definition: KindDefinition;
  readonly namespace: string;
  readonly name: string;
}

export interface ApplyOptions {
  /** The whole intent, as a manifest; `metadata.uid` and `resourceVersion` in it are replaced. */
  readonly manifest: Readonly<Record<string, unknown>>;
  /** What `getMetadata` found: exactly that object is changed. undefined: only a creation is meant. */
  readonly existing: ObjectMeta | undefined;
  /** Everything is checked and answered, nothing is stored. Without a new version, `configured` is told as `unchanged`. */
  readonly dryRun?: boolean;
  readonly signal?: AbortSignal;
}

export type ApplyResult =
  | {
      readonly outcome: 'created' | 'configured' | 'unchanged';
      readonly metadata: ObjectMeta;
      readonly warnings: readonly string[];
    }
  | Refusal;

/** undefined when there is no such object. @throws KubernetesApiError */
export async function getMetadata(
  api: KubernetesApi,
  reference: ObjectReference,
  signal?: AbortSignal,
): Promise<ObjectMeta | undefined> {
  try {
    const path = objectPath(reference);
    return metadataOf(await api.call({ method: 'GET', path, accept: AS_METADATA, ...withSignal(signal) }), path);
  } catch (error) {
    if (error instanceof KubernetesApiError && error.failure === 'not-found') return undefined;
    throw error;
  }
}

/**
 * Server-side apply as `crowsnest`, without force. Never takes over an object that came into being after `existing` was
 * read, and never one that was created anew under the same name: both end as `changed`, and the caller looks again.
 *
 * @throws KubernetesApiError for what is no answer about the object: rights, quota, a webhook, the connection.
 */
export async function applyObject(
  api: KubernetesApi,
  reference: ObjectReference,
  options: ApplyOptions,
): Promise<ApplyResult> {
  const { existing, manifest, dryRun, signal } = options;
  const path = objectPath(reference);
  try {
    const answer = await api.call({
      method: 'PATCH',
      path,
      query: { fieldManager: FIELD_MANAGER, dryRun: dryRun ? 'All' : undefined, fieldValidation: 'Strict' },
      contentType: APPLY_PATCH,
      accept: AS_METADATA,
      body: bound(reference, manifest, existing),
      timeoutMs: APPLY_MS,
      ...withSignal(signal),
    });
    const metadata = metadataOf(answer, path);
    return { outcome: outcomeOf(existing, metadata), metadata, warnings: answer.warnings };
  } catch (error) {
    const refusal = error instanceof KubernetesApiError ? refusalOf(error, existing !== undefined) : undefined;
    if (refusal) return refusal;
    throw error;
  }
}

export interface DeleteOptions {
  /** Only the object with this UID is deleted. */
  readonly uid: string;
  /** `Foreground`: it stays, terminating, until what it owns is gone. */
  readonly propagationPolicy: 'Background' | 'Foreground';
  readonly signal?: AbortSignal;
}

/**
 * `requested`: it is gone, or terminating until its finalizers are through. `absent`: there was none.
 * `replaced`: the name now belongs to another object, which was not touched.
 *
 * @throws KubernetesApiError
 */
export async function deleteObject(
  api: KubernetesApi,
  reference: ObjectReference,
  options: DeleteOptions,
): Promise<'requested' | 'absent' | 'replaced'> {
  const { uid, propagationPolicy, signal } = options;
  try {
    await api.call({
      method: 'DELETE',
      path: objectPath(reference),
      accept: `${AS_METADATA}, application/json`,
      body: { apiVersion: 'v1', kind: 'DeleteOptions', preconditions: { uid }, propagationPolicy },
      timeoutMs: APPLY_MS,
      ...withSignal(signal),
    });
    return 'requested';
  } catch (error) {
    if (!(error instanceof KubernetesApiError)) throw error;
    if (error.failure === 'not-found') return 'absent';
    if (error.failure !== 'conflict') throw error;
    // A 409 may also be a webhook's: the object itself says whether the name belongs to another one.
    const now = await getMetadata(api, reference, signal);
    if (!now) return 'absent';
    if (now.uid !== uid) return 'replaced';
    throw error;
  }
}

function objectPath(reference: ObjectReference): string {
  return pathOf(reference.definition, reference.namespace, reference.name);
}

/** The manifest with the identity that it is meant for. */
function bound(
  { definition, namespace, name }: ObjectReference,
  manifest: Readonly<Record<string, unknown>>,
  existing: ObjectMeta | undefined,
): Record<string, unknown> {
  const given = typeof manifest['metadata'] === 'object' ? manifest['metadata'] : {};
  const {
    uid: _uid,
    resourceVersion: _version,
    managedFields: _fields,
    ...metadata
  } = given as Record<string, unknown>;
  const identity = existing ? { uid: existing.uid } : { resourceVersion: NO_OBJECT_YET };
  return {
    ...manifest,
    apiVersion: apiVersionOf(definition),
    kind: definition.kind,
    metadata: { ...metadata, namespace, name, ...identity },
  };
}

/**
 * An apply that changes nothing leaves the resource version as it was. When a controller wrote between our two looks,
 * the generation, which only the spec moves, tells the same for kinds that have one.
 */
function outcomeOf(existing: ObjectMeta | undefined, metadata: ObjectMeta): 'created' | 'configured' | 'unchanged' {
  if (!existing) return 'created';
  if (existing.resourceVersion === metadata.resourceVersion) return 'unchanged';
  const isSame =
    existing.generation !== undefined &&
    existing.generation === metadata.generation &&
    isDeepStrictEqual(appliedPart(existing), appliedPart(metadata));
  return isSame ? 'unchanged' : 'configured';
}

/** What an apply can change of the metadata, the set of our fields included. */
function appliedPart(metadata: ObjectMeta): unknown {
  const own = metadata.managedFields?.find((entry) => entry.manager === FIELD_MANAGER && entry.operation === 'Apply');
  const { labels, annotations, finalizers, ownerReferences } = metadata;
  return { labels, finalizers, ownerReferences, annotations: withoutRevision(annotations), fields: own?.fieldsV1 };
}

/** The Deployment controller counts its rollouts in an annotation. */
function withoutRevision(annotations: ObjectMeta['annotations'] = {}): Record<string, string> {
  const { 'deployment.kubernetes.io/revision': _, ...others } = annotations;
  return others;
}

function metadataOf(answer: ApiResponse, path: string): ObjectMeta {
  const object = asObject(answer.body);
  if (!object) throw new KubernetesApiError('cut', `${path}: the answer is not an object`);
  return object.metadata;
}

function withSignal(signal: AbortSignal | undefined): { signal?: AbortSignal } {
  return signal ? { signal } : {};
}
