/** A directed edge between two node ids: the target comes after the source. */
export interface GraphEdge {
  readonly source: string;
  readonly target: string;
}

/** One cycle as the ids along it, the first repeated at the end (`a b a`), or null if there is none. */
export function findCycle(ids: readonly string[], edges: readonly GraphEdge[]): string[] | null {
  const remaining = new Set(behindCycles(ids, edges));
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

/** Takes away what has no source left, again and again; what remains lies on a cycle or behind one. */
function behindCycles(ids: readonly string[], edges: readonly GraphEdge[]): string[] {
  const sources = new Map<string, Set<string>>(ids.map((id) => [id, new Set()]));
  for (const { source, target } of edges) sources.get(target)?.add(source);
  let remaining = [...ids];
  for (;;) {
    const free = new Set(remaining.filter((id) => sources.get(id)?.size === 0));
    if (free.size === 0) return remaining;
    remaining = remaining.filter((id) => !free.has(id));
    for (const id of remaining) for (const done of free) sources.get(id)?.delete(done);
  }
}
