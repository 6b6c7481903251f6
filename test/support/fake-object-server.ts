import { isDeepStrictEqual } from 'node:util';
import {
  type ApiCall,
  type ApiResponse,
  type KubernetesApi,
  KubernetesApiError,
  type ManagedFieldsEntry,
  type ObjectMeta,
  type StatusCause,
} from '../../src/kubernetes/index.js';

interface FieldOwner {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  readonly subresource?: string;
  readonly fields: Set<string>;
}

interface StoredObject {
  readonly uid: string;
  resourceVersion: number;
  generation: number;
  labels: Record<string, string>;
  finalizers: string[];
  deletionTimestamp: string | undefined;
  /** Values by path, `.spec.replicas`. */
  values: Map<string, unknown>;
  owners: FieldOwner[];
}

export interface Edit {
  readonly manager: string;
  readonly subresource?: string;
  readonly values?: Readonly<Record<string, unknown>>;
  readonly labels?: Record<string, string>;
  readonly finalizers?: string[];
}

const OURS = 'crowsnest';

/**
 * What the executor needs of an API server: metadata, server-side apply with owners of fields, deletion with
 * preconditions and finalizers. Objects live by their path.
 */
export class FakeObjectServer implements KubernetesApi {
  readonly clusterId = 'fake';
  /** Called with each call before it takes effect; what it throws is the answer. */
  onCall: (call: ApiCall) => void | Promise<void> = () => undefined;
  /** Called after a change took effect, before it is answered; what it throws is told instead of the answer. */
  onChanged: (call: ApiCall) => void = () => undefined;
  /** Fields that cannot change. */
  readonly immutable = new Set<string>();
  private readonly objects = new Map<string, StoredObject>();
  private versions = 100;
  private uids = 0;

  async call<T>(call: ApiCall): Promise<ApiResponse<T>> {
    await this.onCall(call);
    call.signal?.throwIfAborted();
    const isDryRun = call.query?.['dryRun'] === 'All';
    const body = isDryRun ? this.answerOnly(call) : this.answer(call);
    if (call.method !== 'GET' && !isDryRun) this.onChanged(call);
    return { status: 200, body: body as T, warnings: [] };
  }

  watch(): Promise<AsyncIterable<unknown>> {
    return Promise.reject(new Error('nothing is watched here'));
  }

  metadata(path: string): ObjectMeta | undefined {
    const object = this.objects.get(path);
    return object === undefined ? undefined : metadataOf(path, object);
  }

  value(path: string, field: string): unknown {
    return this.objects.get(path)?.values.get(field);
  }

  paths(): string[] {
    return [...this.objects.keys()].toSorted();
  }

  /** Another client creates or changes an object. */
  edit(path: string, { manager, subresource, values = {}, labels, finalizers }: Edit): void {
    const object = this.objects.get(path) ?? this.create(path);
    const owner = { manager, operation: 'Update', fields: new Set(Object.keys(values)) } as const;
    for (const [field, value] of Object.entries(values)) {
      object.values.set(field, value);
      for (const other of object.owners) other.fields.delete(field);
    }
    object.owners.push(subresource === undefined ? owner : { ...owner, subresource });
    if (labels) object.labels = labels;
    if (finalizers) object.finalizers = finalizers;
    if (Object.keys(values).length > 0) object.generation += 1;
    this.touch(object);
    if (object.deletionTimestamp !== undefined && object.finalizers.length === 0) this.objects.delete(path);
  }

  /** Another client deletes an object, finalizers or not. */
  remove(path: string): void {
    this.objects.delete(path);
  }

  /** What a change would be answered, without it. */
  private answerOnly(call: ApiCall): unknown {
    const existing = this.objects.get(call.path);
    // Not by structuredClone, whose objects are of another realm than the test's and equal none of its.
    const before = existing && {
      ...existing,
      values: new Map(existing.values),
      owners: existing.owners.map((owner) => ({ ...owner, fields: new Set(owner.fields) })),
    };
    const { versions, uids } = this;
    try {
      return this.answer(call);
    } finally {
      if (before === undefined) this.objects.delete(call.path);
      else this.objects.set(call.path, before);
      Object.assign(this, { versions, uids });
    }
  }

  private answer({ method, path, body }: ApiCall): unknown {
    const existing = this.objects.get(path);
    if (method === 'PATCH') return this.apply(path, body as Record<string, unknown>);
    if (existing === undefined) throw refusal('not-found', 404, 'NotFound');
    if (method === 'DELETE') this.delete(path, existing, body as { preconditions?: { uid?: string } });
    return { metadata: metadataOf(path, existing) };
  }

  private apply(path: string, manifest: Record<string, unknown>): unknown {
    const { uid, resourceVersion, labels = {} } = manifest['metadata'] as Partial<ObjectMeta>;
    const existing = this.objects.get(path);
    const { apiVersion: _version, kind: _kind, metadata: _metadata, ...content } = manifest;
    const wanted = new Map(leaves(content));
    // The real one looks for conflicts first.
    if (existing !== undefined) this.checkConflicts(existing, wanted);
    const isOther =
      (uid !== undefined && uid !== existing?.uid) ||
      (existing !== undefined && resourceVersion !== undefined && resourceVersion !== String(existing.resourceVersion));
    if (isOther) throw refusal('conflict', 409, 'Conflict');
    if (existing !== undefined) this.checkImmutable(existing, wanted);
    const object = existing ?? this.create(path);
    const before = { values: new Map(object.values), labels: object.labels };
    const own = object.owners.find(({ manager, operation }) => manager === OURS && operation === 'Apply');
    const others = object.owners.filter((owner) => owner !== own);
    for (const field of own?.fields ?? []) {
      const isShared = others.some(({ fields }) => fields.has(field));
      if (!wanted.has(field) && !isShared) object.values.delete(field);
    }
    for (const [field, value] of wanted) object.values.set(field, value);
    object.labels = { ...object.labels, ...labels };
    object.owners = [...others, { manager: OURS, operation: 'Apply', fields: new Set(wanted.keys()) }];
    if (existing !== undefined) {
      const contentChanged = !isDeepStrictEqual(before.values, object.values);
      if (contentChanged) object.generation += 1;
      const isTakenOver = !isDeepStrictEqual(own?.fields, new Set(wanted.keys()));
      if (contentChanged || isTakenOver || !isDeepStrictEqual(before.labels, object.labels)) this.touch(object);
    }
    return { metadata: metadataOf(path, object) };
  }

  private checkConflicts(object: StoredObject, wanted: ReadonlyMap<string, unknown>): void {
    const changed = changedFields(object, wanted);
    const conflicts = object.owners
      .filter(({ manager, operation }) => !(manager === OURS && operation === 'Apply'))
      .flatMap(({ manager, subresource, fields }) =>
        changed
          .filter((field) => fields.has(field))
          .map((field): StatusCause => {
            const via = subresource === undefined ? '' : ` with subresource "${subresource}"`;
            return { reason: 'FieldManagerConflict', field, message: `conflict with "${manager}"${via} using v1` };
          }),
      );
    if (conflicts.length > 0) throw refusal('conflict', 409, 'Conflict', conflicts);
  }

  private checkImmutable(object: StoredObject, wanted: ReadonlyMap<string, unknown>): void {
    const frozen = changedFields(object, wanted).filter((field) => this.immutable.has(field));
    if (frozen.length === 0) return;
    const causes = frozen.map((field) => ({ reason: 'FieldValueInvalid', field, message: 'field is immutable' }));
    throw refusal('invalid', 422, 'Invalid', causes);
  }

  private delete(path: string, object: StoredObject, { preconditions }: { preconditions?: { uid?: string } }): void {
    if (preconditions?.uid !== undefined && preconditions.uid !== object.uid)
      throw refusal('conflict', 409, 'Conflict');
    if (object.finalizers.length === 0) {
      this.objects.delete(path);
      return;
    }
    object.deletionTimestamp ??= '2026-01-01T00:00:00Z';
    this.touch(object);
  }

  private create(path: string): StoredObject {
    this.uids += 1;
    const object: StoredObject = {
      uid: `uid-${this.uids}`,
      resourceVersion: 0,
      generation: 1,
      labels: {},
      finalizers: [],
      deletionTimestamp: undefined,
      values: new Map(),
      owners: [],
    };
    this.objects.set(path, object);
    this.touch(object);
    return object;
  }

  private touch(object: StoredObject): void {
    this.versions += 1;
    object.resourceVersion = this.versions;
  }
}

function changedFields(object: StoredObject, wanted: ReadonlyMap<string, unknown>): string[] {
  return [...wanted].filter(([field, value]) => object.values.get(field) !== value).map(([field]) => field);
}

function metadataOf(path: string, object: StoredObject): ObjectMeta {
  const { uid, resourceVersion, generation, labels, finalizers, deletionTimestamp, owners } = object;
  return {
    name: path.split('/').at(-1) ?? '',
    uid,
    resourceVersion: String(resourceVersion),
    generation,
    labels: { ...labels },
    finalizers: [...finalizers],
    ...(deletionTimestamp === undefined ? {} : { deletionTimestamp }),
    managedFields: owners.map(managedFieldsOf),
  };
}

function managedFieldsOf({ manager, operation, subresource, fields }: FieldOwner): ManagedFieldsEntry {
  const fieldsV1: Record<string, unknown> = {};
  for (const field of fields) {
    let level = fieldsV1;
    for (const name of field.split('.').slice(1)) level = (level[`f:${name}`] ??= {}) as Record<string, unknown>;
  }
  return { manager, operation, fieldsV1, ...(subresource === undefined ? {} : { subresource }) };
}

function leaves(value: unknown, path = ''): Array<[string, unknown]> {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([key, each]) => leaves(each, `${path}.${key}`));
}

function refusal(
  failure: KubernetesApiError['failure'],
  status: number,
  reason: string,
  causes: readonly StatusCause[] = [],
): KubernetesApiError {
  return new KubernetesApiError(failure, `answered ${status} ${reason}`, { status, reason, causes });
}
