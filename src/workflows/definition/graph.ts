/** A directed edge between two node ids: the target comes after the source. */
export interface GraphEdge {
  readonly source: string;
  readonly target: string;
}

/**
 * Node ids in groups: each comes after all groups that hold one of its sources, and as early as that allows. Within a
 * group the ids keep their given order. Edges name only given ids.
 *
 * @throws Error if the edges form a cycle; definitions are checked by `findCycle` before they are stored.
 */
export function topologicalLayers(ids: readonly string[], edges: readonly GraphEdge[]): string[][] {
  const { layers, remaining } = peel(ids, edges);
  if (remaining.length > 0) throw new Error(`the edges of ${remaining.join(', ')} form a cycle`);
  return layers;
}

/** One cycle as the ids along it, the first repeated at the end (`a b a`), or null if there is none. */
export function findCycle(ids: readonly string[], edges: readonly GraphEdge[]): string[] | null {
  const remaining = new Set(peel(ids, edges).remaining);
  const [first] = remaining;
  if (first === undefined) return null;
  // What could not be peeled has a source that could not be peeled either: walking up the sources must meet an id again.
  const sourceOf = new Map(
    edges
      .filter(({ source, target }) => remaining.has(source) && remaining.has(target))
      .map((e) => [e.target, e.source]),
  );
  const walked: string[] = [];
  let id: string | undefined = first;
  while (id !== undefined && !walked.includes(id)) {
    walked.push(id);
    id = sourceOf.get(id);
  }
  if (id === undefined) return null;
  const cycle = walked.slice(walked.indexOf(id)).toReversed();
  const start = cycle.at(-1) as string;
  return [start, ...cycle];
}

/** Takes away what has no source left, layer by layer; what remains lies on a cycle or behind one. */
function peel(ids: readonly string[], edges: readonly GraphEdge[]): { layers: string[][]; remaining: string[] } {
  const sources = new Map<string, Set<string>>(ids.map((id) => [id, new Set()]));
  for (const { source, target } of edges) sources.get(target)?.add(source);
  const layers: string[][] = [];
  let remaining = [...ids];
  for (;;) {
    const layer = remaining.filter((id) => sources.get(id)?.size === 0);
    if (layer.length === 0) return { layers, remaining };
    layers.push(layer);
    const taken = new Set(layer);
    remaining = remaining.filter((id) => !taken.has(id));
    for (const id of remaining) for (const done of layer) sources.get(id)?.delete(done);
  }
}
