import { Injectable } from '@nestjs/common';
import type { ResourceDocument } from './resource.schema.js';

/** One state of the object that was evaluated and, where it changed something, stored. */
export interface Sighting {
  /** null: the object is not there. */
  readonly uid: string | null;
  readonly resourceVersion: string;
}

/** Resources whose status comes from one kind in one namespace. */
export interface WatchedSet {
  readonly clusterId: string;
  readonly kind: string;
  readonly namespace: string;
}

/** A watched resource in memory: its stored document as last read or written. */
export interface TrackedResource {
  readonly id: string;
  document: ResourceDocument;
  lastSighting: Sighting | null;
}

/** The names of an object within all clusters. */
export interface ObjectRef {
  readonly clusterId: string;
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
}

/**
 * The watched resources, mirrored from the database: written there first, put here after. What should be watched, and
 * what an object means to whom, is read from here.
 */
@Injectable()
export class TrackedResources {
  private readonly byId = new Map<string, TrackedResource>();
  private readonly bySet = new Map<string, Map<string, Set<TrackedResource>>>();
  private generation = 0;
  private readonly addedIn = new Map<string, number>();
  private removedMeanwhile: Set<string> | undefined;

  get size(): number {
    return this.byId.size;
  }

  all(): Iterable<TrackedResource> {
    return this.byId.values();
  }

  get(id: string): TrackedResource | undefined {
    return this.byId.get(id);
  }

  /** Resources that stand for this object. More than one only while a name passes from a workflow to another. */
  *ofObject({ clusterId, kind, namespace, name }: ObjectRef): Iterable<TrackedResource> {
    yield* this.bySet.get(setKey(clusterId, kind, namespace))?.get(name) ?? [];
  }

  /** Resources of one kind in one namespace of a cluster. */
  *inSet(clusterId: string, kind: string, namespace: string): Iterable<TrackedResource> {
    for (const resources of this.bySet.get(setKey(clusterId, kind, namespace))?.values() ?? []) yield* resources;
  }

  /** Kinds and namespaces that have tracked resources. */
  sets(): WatchedSet[] {
    return [...this.bySet.values()].flatMap((names) => {
      const first = names.values().next().value?.values().next().value?.document;
      return first ? [{ clusterId: first.clusterId.toString(), kind: first.kind, namespace: first.namespace }] : [];
    });
  }

  /** Takes over a stored document unless a newer one is known; drops one that is no longer watched. */
  put(document: ResourceDocument): TrackedResource {
    const id = document._id.toString();
    const known = this.byId.get(id);
    if (known && known.document.version > document.version) return known;
    if (known) {
      this.unlink(known);
      if (!samePlace(known.document, document)) known.lastSighting = null;
    }
    const resource: TrackedResource = known ?? { id, document, lastSighting: null };
    resource.document = document;
    if (!document.watched) {
      this.drop(id);
      return resource;
    }
    if (!known) this.addedIn.set(id, this.generation);
    this.byId.set(id, resource);
    this.link(resource);
    return resource;
  }

  /** Takes over a stored document of a resource that is still tracked. */
  refresh(document: ResourceDocument): void {
    if (this.byId.has(document._id.toString())) this.put(document);
  }

  remove(id: string): void {
    const resource = this.byId.get(id);
    if (!resource) return;
    this.unlink(resource);
    this.drop(id);
  }

  /**
   * Reads all watched documents again, one reload at a time. What `read` did not see is dropped, unless it was put here
   * while it ran; what was removed while it ran stays removed.
   */
  async reload(read: () => Promise<readonly ResourceDocument[]>): Promise<void> {
    this.generation += 1;
    const generation = this.generation;
    const removed = new Set<string>();
    this.removedMeanwhile = removed;
    const documents = (await read()).filter(({ _id }) => !removed.has(_id.toString()));
    this.removedMeanwhile = undefined;
    const seen = new Set(documents.map((document) => this.put(document).id));
    for (const id of this.byId.keys()) {
      if (!seen.has(id) && (this.addedIn.get(id) ?? 0) < generation) this.remove(id);
    }
  }

  private drop(id: string): void {
    this.byId.delete(id);
    this.addedIn.delete(id);
    this.removedMeanwhile?.add(id);
  }

  private link(resource: TrackedResource): void {
    const { clusterId, kind, namespace, name } = resource.document;
    const key = setKey(clusterId.toString(), kind, namespace);
    const set = this.bySet.get(key) ?? new Map<string, Set<TrackedResource>>();
    this.bySet.set(key, set);
    const resources = set.get(name) ?? new Set<TrackedResource>();
    set.set(name, resources.add(resource));
  }

  private unlink(resource: TrackedResource): void {
    const { clusterId, kind, namespace, name } = resource.document;
    const key = setKey(clusterId.toString(), kind, namespace);
    const set = this.bySet.get(key);
    const resources = set?.get(name);
    resources?.delete(resource);
    if (resources?.size === 0) set?.delete(name);
    if (set?.size === 0) this.bySet.delete(key);
  }
}

function setKey(clusterId: string, kind: string, namespace: string): string {
  return `${clusterId}/${kind}/${namespace}`;
}

function samePlace(a: ResourceDocument, b: ResourceDocument): boolean {
  return a.clusterId.equals(b.clusterId) && a.kind === b.kind && a.namespace === b.namespace && a.name === b.name;
}
