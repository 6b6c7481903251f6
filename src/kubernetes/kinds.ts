/** One of the kinds that workflows deploy and watchers watch. */
export interface KindDefinition {
  /** As Kubernetes writes it: `Deployment`. */
  readonly kind: string;
  /** API group, '' for the core group. */
  readonly group: string;
  readonly version: string;
  /** Plural name in URLs: `deployments`. */
  readonly plural: string;
  /** kubectl's names that filters accept too, in lower case: `deploy`, `deployment`, `deployments`. */
  readonly aliases: readonly string[];
  /** Listed and watched as PartialObjectMetadata, because its data is secret or large and its health is its existence. */
  readonly metadataOnly: boolean;
}

function define(
  kind: string,
  group: string,
  version: string,
  plural: string,
  shortNames: readonly string[],
  metadataOnly = false,
): KindDefinition {
  return { kind, group, version, plural, aliases: [kind.toLowerCase(), plural, ...shortNames], metadataOnly };
}

/** The 14 supported kinds with the one version of each that is served by every supported Kubernetes release. */
export const KINDS = [
  define('Deployment', 'apps', 'v1', 'deployments', ['deploy']),
  define('Service', '', 'v1', 'services', ['svc']),
  define('StatefulSet', 'apps', 'v1', 'statefulsets', ['sts']),
  define('DaemonSet', 'apps', 'v1', 'daemonsets', ['ds']),
  define('Job', 'batch', 'v1', 'jobs', []),
  define('CronJob', 'batch', 'v1', 'cronjobs', ['cj']),
  define('Ingress', 'networking.k8s.io', 'v1', 'ingresses', ['ing']),
  define('ConfigMap', '', 'v1', 'configmaps', ['cm'], true),
  define('Secret', '', 'v1', 'secrets', [], true),
  define('PersistentVolumeClaim', '', 'v1', 'persistentvolumeclaims', ['pvc']),
  define('Pod', '', 'v1', 'pods', ['po']),
  define('ReplicaSet', 'apps', 'v1', 'replicasets', ['rs']),
  define('HorizontalPodAutoscaler', 'autoscaling', 'v2', 'horizontalpodautoscalers', ['hpa']),
  define('NetworkPolicy', 'networking.k8s.io', 'v1', 'networkpolicies', ['netpol']),
] as const satisfies readonly KindDefinition[];

const BY_KIND = new Map<string, KindDefinition>(KINDS.map((definition) => [definition.kind, definition]));
const BY_ALIAS = new Map<string, KindDefinition>(
  KINDS.flatMap((definition) => definition.aliases.map((alias) => [alias, definition])),
);

/** By the exact kind, as manifests write it. */
export function findKind(kind: string): KindDefinition | undefined {
  return BY_KIND.get(kind);
}

/** By kind, plural or kubectl's short name, in any case, as people write it. */
export function findKindByAlias(alias: string): KindDefinition | undefined {
  return BY_ALIAS.get(alias.toLowerCase());
}

/** `apps/v1`, or `v1` for the core group. */
export function apiVersionOf(definition: KindDefinition): string {
  return definition.group === '' ? definition.version : `${definition.group}/${definition.version}`;
}

/** URL path of a collection, or of one object; without a namespace, the collection of all namespaces. */
export function pathOf(definition: KindDefinition, namespace?: string, name?: string): string {
  const root = definition.group === '' ? '/api/v1' : `/apis/${definition.group}/${definition.version}`;
  const scope = namespace === undefined ? '' : `/namespaces/${encodeURIComponent(namespace)}`;
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`;
  return `${root}${scope}/${definition.plural}${object}`;
}
