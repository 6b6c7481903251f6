import type { KindDefinition } from '../../kubernetes/kinds.js';
import { isJsonObject } from './json-structure.js';
import { problemOfLabelValue, problemOfObjectName, problemOfQualifiedName } from './object-names.js';
import { below, type Violation } from './violation.js';

/** All annotations of an object together, keys and values, in bytes: a limit of Kubernetes. */
const MAX_ANNOTATIONS_BYTES = 256 * 1024;

const ACCEPTED: ReadonlySet<string> = new Set(['name', 'namespace', 'labels', 'annotations', 'finalizers']);

const WRITTEN_BY_CLUSTER = 'is written by the cluster; remove it';
const REFUSED: ReadonlyMap<string, string> = new Map([
  ['generateName', 'is not supported, because a node is one object; give the whole name in metadata.name'],
  ['ownerReferences', 'is not supported, because the owner would delete the object; remove it'],
  ['uid', WRITTEN_BY_CLUSTER],
  ['resourceVersion', WRITTEN_BY_CLUSTER],
  ['managedFields', WRITTEN_BY_CLUSTER],
  ['generation', WRITTEN_BY_CLUSTER],
  ['creationTimestamp', WRITTEN_BY_CLUSTER],
  ['deletionTimestamp', WRITTEN_BY_CLUSTER],
  ['deletionGracePeriodSeconds', WRITTEN_BY_CLUSTER],
  ['selfLink', WRITTEN_BY_CLUSTER],
]);

/** Labels and annotations by which the service knows what is its own. */
const OWN_PREFIX = 'crowsnest.io/';
const MANAGED_BY = 'app.kubernetes.io/managed-by';
/** kubectl's copy of the whole manifest, a Secret's data included. */
const LAST_APPLIED = 'kubectl.kubernetes.io/last-applied-configuration';

export function checkMetadata(metadata: unknown, kind: KindDefinition, namespace: string): Violation[] {
  if (!isJsonObject(metadata)) return [{ path: [], message: 'expected an object with a name' }];
  return [
    ...checkFields(Object.keys(metadata)),
    ...checkName(metadata['name'], kind),
    ...checkNamespace(metadata['namespace'], namespace),
    ...below(['labels'], checkLabels(metadata['labels'])),
    ...below(['annotations'], checkAnnotations(metadata['annotations'])),
    ...below(['finalizers'], checkFinalizers(metadata['finalizers'])),
  ];
}

function checkFields(fields: readonly string[]): Violation[] {
  return fields
    .filter((field) => !ACCEPTED.has(field))
    .map((field) => ({ path: [field], message: REFUSED.get(field) ?? 'is not a field of metadata; remove it' }));
}

function checkName(name: unknown, kind: KindDefinition): Violation[] {
  const problem =
    typeof name === 'string' && name !== '' ? problemOfObjectName(kind.kind, name) : 'expected the name of the object';
  return problem === null ? [] : [{ path: ['name'], message: problem }];
}

function checkNamespace(value: unknown, namespace: string): Violation[] {
  if (value === undefined || value === namespace) return [];
  return [
    {
      path: ['namespace'],
      message: `expected ${JSON.stringify(namespace)}, the namespace of the workflow; leave it out or make another workflow`,
    },
  ];
}

function checkLabels(labels: unknown): Violation[] {
  if (labels === undefined || labels === null) return [];
  if (!isJsonObject(labels)) return [{ path: [], message: 'expected an object of texts' }];
  return Object.entries(labels).flatMap(([key, value]) => {
    const problem = problemOfKey(key) ?? problemOfText(value, problemOfLabelValue);
    return problem === null ? [] : [{ path: [key], message: problem }];
  });
}

function checkAnnotations(annotations: unknown): Violation[] {
  if (annotations === undefined || annotations === null) return [];
  if (!isJsonObject(annotations)) return [{ path: [], message: 'expected an object of texts' }];
  const violations: Violation[] = [];
  let bytes = 0;
  for (const [key, value] of Object.entries(annotations)) {
    // Kubernetes looks at the prefix of an annotation in lower case.
    const problem = problemOfKey(key, key.toLowerCase()) ?? problemOfText(value);
    if (problem !== null) violations.push({ path: [key], message: problem });
    bytes += Buffer.byteLength(key) + (typeof value === 'string' ? Buffer.byteLength(value) : 0);
  }
  if (bytes > MAX_ANNOTATIONS_BYTES) {
    violations.push({ path: [], message: `are ${bytes} bytes; Kubernetes takes at most ${MAX_ANNOTATIONS_BYTES}` });
  }
  return violations;
}

function problemOfKey(key: string, compared = key): string | null {
  if (compared.startsWith(OWN_PREFIX) || key === MANAGED_BY) {
    return 'is set by this service on what it applies; remove it';
  }
  if (key === LAST_APPLIED) return "is kubectl's record of an earlier apply; remove it";
  return problemOfQualifiedName(compared);
}

function problemOfText(value: unknown, check: (text: string) => string | null = () => null): string | null {
  return typeof value === 'string' ? check(value) : 'expected a text; put numbers and booleans in quotes';
}

function checkFinalizers(finalizers: unknown): Violation[] {
  if (finalizers === undefined || finalizers === null) return [];
  if (!Array.isArray(finalizers)) return [{ path: [], message: 'expected a list of texts' }];
  return finalizers.flatMap((finalizer, index) => {
    const problem = problemOfText(finalizer, problemOfQualifiedName);
    return problem === null ? [] : [{ path: [index], message: problem }];
  });
}
