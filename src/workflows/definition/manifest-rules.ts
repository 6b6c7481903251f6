import { KINDS, apiVersionOf, findKind, findKindByAlias, type KindDefinition } from '../../kubernetes/kinds.js';
import { canonicalJson } from './canonical-json.js';
import { checkStructure, isJsonObject, type JsonObject } from './json-structure.js';
import { checkMetadata } from './metadata-rules.js';
import { checkSecretData } from './secret-rules.js';
import { below, type Violation } from './violation.js';

/** Bytes of one manifest as JSON. etcd takes 1.5 MiB, of which the API server's own fields need a part. */
export const MAX_MANIFEST_BYTES = 900 * 1024;

/**
 * Whether Crowsnest would apply this manifest into `namespace`: what Kubernetes would refuse by name or shape of the
 * metadata, and what would leave the workflow's namespace or its ownership. The spec is the API server's to judge.
 */
export function checkManifest(manifest: unknown, namespace: string): Violation[] {
  if (!isJsonObject(manifest)) return [{ path: [], message: 'expected a Kubernetes object' }];
  const structure = checkStructure(manifest);
  if (structure.length > 0) return structure;
  const bytes = Buffer.byteLength(canonicalJson(manifest));
  if (bytes > MAX_MANIFEST_BYTES) {
    return [{ path: [], message: `is ${bytes} bytes as JSON; at most ${MAX_MANIFEST_BYTES} are allowed` }];
  }
  const kind = kindOf(manifest);
  if (Array.isArray(kind)) return kind;
  return [
    ...checkApiVersion(manifest, kind),
    ...below(['metadata'], checkMetadata(manifest['metadata'], kind, namespace)),
    ...checkStatus(manifest),
    ...(kind.kind === 'Secret' ? checkSecretData(manifest) : []),
  ];
}

function kindOf(manifest: JsonObject): KindDefinition | Violation[] {
  const { kind } = manifest;
  if (typeof kind !== 'string') return [{ path: ['kind'], message: `expected one of ${kindNames()}` }];
  const definition = findKind(kind);
  if (definition === undefined) {
    const meant = findKindByAlias(kind);
    const hint = meant === undefined ? `supported are ${kindNames()}` : `write ${meant.kind}`;
    return [{ path: ['kind'], message: `${JSON.stringify(kind.slice(0, 63))} is not a supported kind; ${hint}` }];
  }
  return definition;
}

function checkApiVersion({ apiVersion }: JsonObject, definition: KindDefinition): Violation[] {
  const expected = apiVersionOf(definition);
  if (apiVersion === expected) return [];
  return [
    { path: ['apiVersion'], message: `expected ${expected}, the version of ${definition.kind} that is used here` },
  ];
}

function kindNames(): string {
  return KINDS.map((definition) => definition.kind).join(', ');
}

function checkStatus(manifest: JsonObject): Violation[] {
  return 'status' in manifest
    ? [{ path: ['status'], message: 'is written by the cluster; remove it from the manifest' }]
    : [];
}

/** Leaves out what `kubectl create --dry-run -o yaml` writes without meaning anything by it. */
export function withoutEmptyFields(manifest: unknown): unknown {
  if (!isJsonObject(manifest)) return manifest;
  const kept: Record<string, unknown> = { ...manifest };
  if (isEmpty(kept['status'])) delete kept['status'];
  if (isJsonObject(kept['metadata']) && kept['metadata']['creationTimestamp'] === null) {
    const metadata: Record<string, unknown> = { ...kept['metadata'] };
    delete metadata['creationTimestamp'];
    kept['metadata'] = metadata;
  }
  return kept;
}

function isEmpty(value: unknown): boolean {
  return value === null || (isJsonObject(value) && Object.keys(value).length === 0);
}
