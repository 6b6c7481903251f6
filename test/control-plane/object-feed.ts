import type { KubernetesObject } from '@kubernetes/client-node';
import { setTimeout as delay } from 'node:timers/promises';
import type { ClusterAccess } from './cluster-access.ts';

interface WatchLine<T> {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK' | 'ERROR';
  readonly object: T;
}

interface ObjectList<T> {
  readonly metadata: { readonly resourceVersion: string };
  readonly items: readonly T[];
}

export interface FeedHandlers<T> {
  /** Called for each object after every list, and for each that is added or changed. */
  readonly present: (object: T) => void;
  readonly gone: (object: T) => void;
}

/** The current objects of one collection: list, watch, and both again whenever the watch ends. */
export class ObjectFeed<T extends KubernetesObject> {
  private readonly objects = new Map<string, T>();
  private readonly access: ClusterAccess;
  private readonly path: string;
  private readonly handlers: FeedHandlers<T>;
  private abort: AbortController | undefined;
  private running: Promise<void> | undefined;

  /** `path`: for example `/api/v1/pods`. */
  constructor(access: ClusterAccess, path: string, handlers: FeedHandlers<T>) {
    this.access = access;
    this.path = path;
    this.handlers = handlers;
  }

  values(): T[] {
    return [...this.objects.values()];
  }

  start(): void {
    if (this.abort) return;
    this.abort = new AbortController();
    this.running = this.run(this.abort.signal);
  }

  async stop(): Promise<void> {
    this.abort?.abort();
    await this.running;
    this.abort = undefined;
  }

  private async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      try {
        await this.follow(await this.list(), signal);
      } catch {
        // The API server is away, or asked for a new list: both are answered by trying again.
        await delay(100);
      }
    }
  }

  private async list(): Promise<string> {
    const answer = await this.access.request<ObjectList<T>>('GET', this.path);
    if (answer.status !== 200) throw new Error(`GET ${this.path}: ${answer.status}`);
    const { items, metadata } = answer.body;
    const uids = new Set(items.map(uidOf));
    for (const known of this.values()) if (!uids.has(uidOf(known))) this.forget(known);
    for (const object of items) this.remember(object);
    return metadata.resourceVersion;
  }

  private async follow(resourceVersion: string, signal: AbortSignal): Promise<void> {
    const query = new URLSearchParams({ watch: '1', resourceVersion, timeoutSeconds: '600' });
    for await (const line of this.access.lines(`${this.path}?${query.toString()}`, signal)) {
      const { type, object } = JSON.parse(line) as WatchLine<T>;
      if (type === 'ERROR') throw new Error(`watch of ${this.path}: ${JSON.stringify(object)}`);
      if (type === 'DELETED') this.forget(object);
      else if (type !== 'BOOKMARK') this.remember(object);
    }
  }

  private remember(object: T): void {
    this.objects.set(uidOf(object), object);
    this.handlers.present(object);
  }

  private forget(object: T): void {
    this.objects.delete(uidOf(object));
    this.handlers.gone(object);
  }
}

export function uidOf(object: KubernetesObject): string {
  return object.metadata?.uid ?? '';
}
