import { readCount, readObject, readObjects, readStringMap, readStrings, readText, readTime } from './json-reader.js';

/** What is kept of every object's metadata. Times are milliseconds since the epoch. */
export interface SlimMetadata {
  readonly uid: string;
  readonly name: string;
  readonly namespace: string;
  readonly resourceVersion: string;
  readonly generation: number | null;
  readonly createdAt: number | null;
  /** deletionTimestamp: for a pod the end of its grace period, for others the time of the request. */
  readonly deletedAt: number | null;
  /** Names; at most 8 are kept. */
  readonly finalizers: readonly string[];
  /** UID of the controlling owner, the one with `controller: true`. */
  readonly ownerUid: string | null;
  /** Kept for pods only, because selectors read them. */
  readonly labels: Readonly<Record<string, string>> | null;
}

const NO_FINALIZERS: readonly string[] = Object.freeze([]);

export function slimMetadata(raw: unknown, keepLabels: boolean): SlimMetadata {
  const metadata = readObject(readObject(raw).metadata);
  const owner = readObjects(metadata.ownerReferences).find((reference) => reference.controller === true);
  const finalizers = readStrings(metadata.finalizers).slice(0, 8);
  return {
    uid: readText(metadata.uid) ?? '',
    name: readText(metadata.name) ?? '',
    namespace: readText(metadata.namespace) ?? '',
    resourceVersion: readText(metadata.resourceVersion) ?? '',
    generation: readCount(metadata.generation),
    createdAt: readTime(metadata.creationTimestamp),
    deletedAt: readTime(metadata.deletionTimestamp),
    finalizers: finalizers.length === 0 ? NO_FINALIZERS : finalizers,
    ownerUid: readText(owner?.uid),
    labels: keepLabels ? readStringMap(metadata.labels) : null,
  };
}
