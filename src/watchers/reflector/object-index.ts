import { isOlder } from '../resource-version.js';

/** What the index reads of an object. */
export interface IndexedObject {
  readonly kind: string;
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly resourceVersion: string;
  readonly ownerUid: string | null;
}

const NOTHING: ReadonlySet<never> = new Set<never>();

/**
 * The watched objects of one cluster, by name and by owner. Identity is the UID: another UID under a known name means
 * that the old object has gone. Each change answers with the objects that it touched, gone ones included.
 */
export class ObjectIndex<T extends IndexedObject> {
  /** Kind, then namespace, then name. */
  private readonly byName = new Map<string, Map<string, Map<string, T>>>();
  private readonly byUid = new Map<string, T>();
  private readonly byOwner = new Map<string, Set<T>>();

  get size(): number {
    return this.byUid.size;
  }

  get(kind: string, namespace: string, name: string): T | undefined {
    return this.byName.get(kind)?.get(namespace)?.get(name);
  }

  ofUid(uid: string): T | undefined {
    return this.byUid.get(uid);
  }

  inNamespace(kind: string, namespace: string): Iterable<T> {
    return this.byName.get(kind)?.get(namespace)?.values() ?? NOTHING;
  }

  /** Objects of one kind that belong to an owner, directly or through other indexed objects. */
  ownedBy(uid: string, kind: string): T[] {
    const found: T[] = [];
    const owners = new Set([uid]);
    for (const owner of owners) {
      for (const child of this.byOwner.get(owner) ?? NOTHING) {
        if (child.kind === kind) found.push(child);
        owners.add(child.uid);
      }
    }
    return found;
  }

  /** The object itself and its owners, from the nearest to the farthest, as far as they are indexed. */
  lineage(object: T): T[] {
    const line = [object];
    for (let owner = this.ownerOf(object); owner && !line.includes(owner); owner = this.ownerOf(owner))
      line.push(owner);
    return line;
  }

  put(object: T): T[] {
    const known = this.byUid.get(object.uid);
    if (known && isOlder(object.resourceVersion, known.resourceVersion)) return [];
    const touched: T[] = [];
    const namesake = this.get(object.kind, object.namespace, object.name);
    if (namesake && namesake.uid !== object.uid) {
      if (isOlder(object.resourceVersion, namesake.resourceVersion)) return [];
      this.unlink(namesake);
      touched.push(namesake);
    }
    if (known) this.unlink(known);
    this.link(object);
    touched.push(object);
    return touched;
  }

  remove(object: T): T[] {
    const known = this.byUid.get(object.uid);
    if (!known) return [];
    this.unlink(known);
    return [known];
  }

  /** Makes the kind's objects in the namespaces equal to a complete list. */
  replace(kind: string, covers: (namespace: string) => boolean, objects: readonly T[]): T[] {
    const listed = new Set(objects.map(({ uid }) => uid));
    const gone = [...(this.byName.get(kind) ?? [])]
      .filter(([namespace]) => covers(namespace))
      .flatMap(([, names]) => [...names.values()])
      .filter(({ uid }) => !listed.has(uid));
    const touched = gone.flatMap((object) => this.remove(object));
    for (const object of objects) {
      const known = this.byUid.get(object.uid);
      if (known?.resourceVersion === object.resourceVersion) continue;
      // A list is consistent: an older version in it means that the cluster itself went back.
      if (known) this.unlink(known);
      touched.push(...this.put(object));
    }
    return touched;
  }

  /** Forgets a kind in a namespace that is no longer watched. */
  drop(kind: string, namespace: string): void {
    for (const object of this.inNamespace(kind, namespace)) this.unlink(object);
  }

  private ownerOf(object: T): T | undefined {
    return object.ownerUid === null ? undefined : this.byUid.get(object.ownerUid);
  }

  private link(object: T): void {
    this.byUid.set(object.uid, object);
    const namespaces = this.byName.get(object.kind) ?? new Map<string, Map<string, T>>();
    this.byName.set(object.kind, namespaces);
    const names = namespaces.get(object.namespace) ?? new Map<string, T>();
    namespaces.set(object.namespace, names);
    names.set(object.name, object);
    if (object.ownerUid === null) return;
    const siblings = this.byOwner.get(object.ownerUid) ?? new Set<T>();
    this.byOwner.set(object.ownerUid, siblings.add(object));
  }

  private unlink(object: T): void {
    this.byUid.delete(object.uid);
    const namespaces = this.byName.get(object.kind);
    const names = namespaces?.get(object.namespace);
    if (names?.get(object.name) === object) names.delete(object.name);
    if (names?.size === 0) namespaces?.delete(object.namespace);
    if (object.ownerUid === null) return;
    const siblings = this.byOwner.get(object.ownerUid);
    siblings?.delete(object);
    if (siblings?.size === 0) this.byOwner.delete(object.ownerUid);
  }
}
