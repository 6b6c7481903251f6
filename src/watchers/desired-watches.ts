/** Where a watched resource is. */
export interface WatchedPlace {
  readonly clusterId: string;
  readonly kind: string;
  readonly namespace: string;
}

/** One list-and-watch that should run: of one namespace, or of the whole cluster keeping some of its namespaces. */
export interface DesiredWatch {
  readonly kind: string;
  /** null: one watch of all namespaces. */
  readonly namespace: string | null;
  /** The namespaces that matter. */
  readonly namespaces: ReadonlySet<string>;
}

export interface DesiredWatchRules {
  /** Kinds in the same namespace that a kind's status is read from. */
  readonly dependencies: (kind: string) => readonly string[];
  /** Namespaces that a cluster is limited to, null for all; undefined when the cluster is not registered. */
  readonly limitOf: (clusterId: string) => readonly string[] | null | undefined;
  /** Whether the rights refused to watch the kind in all namespaces of the cluster. */
  readonly wideRefused: (clusterId: string, kind: string) => boolean;
  /** Namespaces of a kind from which one watch of the whole cluster is cheaper. */
  readonly wideFrom: number;
}

/** What should be watched for these resources, by cluster. Pure: the same resources give the same watches. */
export function desiredWatches(
  places: Iterable<WatchedPlace>,
  rules: DesiredWatchRules,
): ReadonlyMap<string, readonly DesiredWatch[]> {
  const desired = new Map<string, readonly DesiredWatch[]>();
  for (const [clusterId, kinds] of namespacesByKind(places, rules)) {
    const limited = rules.limitOf(clusterId) !== null;
    desired.set(
      clusterId,
      [...kinds].flatMap(([kind, namespaces]): DesiredWatch[] =>
        namespaces.size >= rules.wideFrom && !limited && !rules.wideRefused(clusterId, kind)
          ? [{ kind, namespace: null, namespaces }]
          : [...namespaces].map((namespace) => ({ kind, namespace, namespaces: new Set([namespace]) })),
      ),
    );
  }
  return desired;
}

function namespacesByKind(
  places: Iterable<WatchedPlace>,
  { dependencies, limitOf }: DesiredWatchRules,
): Map<string, Map<string, Set<string>>> {
  const clusters = new Map<string, Map<string, Set<string>>>();
  for (const { clusterId, kind, namespace } of places) {
    const limit = limitOf(clusterId);
    if (limit === undefined || (limit !== null && !limit.includes(namespace))) continue;
    const kinds = clusters.get(clusterId) ?? new Map<string, Set<string>>();
    clusters.set(clusterId, kinds);
    for (const needed of [kind, ...dependencies(kind)]) {
      kinds.set(needed, (kinds.get(needed) ?? new Set<string>()).add(namespace));
    }
  }
  return clusters;
}
