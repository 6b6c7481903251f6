/** Which watches cover a kind in a namespace: few for each, however many there are in all. */
export class WatchCoverage<W> {
  private readonly byPlace = new Map<string, Set<W>>();

  of(kind: string, namespace: string): W[] {
    return [...(this.byPlace.get(`${kind}/${namespace}`) ?? [])];
  }

  add(kind: string, namespaces: Iterable<string>, watch: W): void {
    for (const namespace of namespaces) {
      const key = `${kind}/${namespace}`;
      this.byPlace.set(key, (this.byPlace.get(key) ?? new Set<W>()).add(watch));
    }
  }

  /** Answers with the namespaces that nothing covers any more. */
  remove(kind: string, namespaces: Iterable<string>, watch: W): string[] {
    const left: string[] = [];
    for (const namespace of namespaces) {
      const key = `${kind}/${namespace}`;
      const watches = this.byPlace.get(key);
      watches?.delete(watch);
      if (watches && watches.size > 0) continue;
      this.byPlace.delete(key);
      left.push(namespace);
    }
    return left;
  }
}
