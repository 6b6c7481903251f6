import { KubernetesApiError, type KubernetesFailure } from '../../src/kubernetes/kubernetes-api.js';
import type { Clock } from '../../src/runtime/clock.js';
import { compareResourceVersions } from '../../src/watchers/resource-version.js';
import type {
  ListOptions,
  ListPage,
  WatchEvent,
  WatchOptions,
  WatchSource,
  WatchTarget,
} from '../../src/watchers/reflector/watch-source.js';

export interface FakeObject {
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly [field: string]: unknown;
  };
  readonly [field: string]: unknown;
}

interface Change {
  readonly version: number;
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED';
  readonly object: FakeObject;
}

interface OpenWatch {
  readonly target: WatchTarget;
  push(event: WatchEvent): void;
  end(): void;
  cut(error: Error): void;
}

type Verb = 'list' | 'watch';

/** A cluster's lists and watches, played: one resource version for all, a history that can be forgotten, faults on demand. */
export class FakeWatchSource implements WatchSource {
  /** Calls that were made, in their order: `list pods/shop`, `watch pods/*@12`, `probe`. */
  readonly calls: string[] = [];
  private version = 100;
  private oldest = 0;
  private uids = 0;
  private readonly objects = new Map<string, FakeObject>();
  private readonly history: Change[] = [];
  private readonly open = new Set<OpenWatch>();
  private readonly forbidden = new Set<string>();
  private readonly faults: Array<{ readonly verb: Verb; readonly error: Error }> = [];
  private down: KubernetesFailure | null = null;

  constructor(private readonly clock: Clock) {}

  get openWatches(): number {
    return this.open.size;
  }

  get resourceVersion(): string {
    return String(this.version);
  }

  /** Calls that begin so, `list` or `watch pods`. */
  countCalls(prefix: string): number {
    return this.calls.filter((call) => call.startsWith(prefix)).length;
  }

  add(kind: string, namespace: string, name: string, rest: Record<string, unknown> = {}): FakeObject {
    this.uids += 1;
    const { metadata = {}, ...body } = rest as { metadata?: Record<string, unknown> };
    const object: FakeObject = {
      kind,
      ...body,
      metadata: { ...metadata, name, namespace, uid: `uid-${this.uids}`, resourceVersion: this.next() },
    };
    this.commit('ADDED', object);
    return object;
  }

  modify(object: FakeObject, change: Record<string, unknown> = {}): FakeObject {
    const { metadata = {}, ...body } = change as { metadata?: Record<string, unknown> };
    const next: FakeObject = {
      ...object,
      ...body,
      metadata: { ...object.metadata, ...metadata, resourceVersion: this.next() },
    };
    this.commit('MODIFIED', next);
    return next;
  }

  remove(object: FakeObject): void {
    this.commit('DELETED', { ...object, metadata: { ...object.metadata, resourceVersion: this.next() } });
  }

  /** Breaks every open watch. */
  cut(): void {
    for (const watch of this.open) watch.cut(new KubernetesApiError('cut', 'the connection broke'));
  }

  /** Ends every open watch as the server does after `timeoutSeconds`. */
  endWatches(): void {
    for (const watch of this.open) watch.end();
  }

  /** Sends every open watch a bookmark. */
  bookmark(): void {
    for (const watch of this.open) watch.push({ type: 'BOOKMARK', resourceVersion: this.resourceVersion });
  }

  /** Sends every open watch an event as it stands. */
  inject(event: WatchEvent): void {
    for (const watch of this.open) watch.push(event);
  }

  /** Forgets the history: a watch from before now is refused with 410. */
  expire(): void {
    this.oldest = this.version;
  }

  /** As after the restore of a backup: versions go back, open watches break. */
  travelBackTo(version: number): void {
    this.version = version;
    this.oldest = 0;
    this.history.length = 0;
    this.cut();
  }

  forbid(kind: string, namespace: string | null): void {
    this.forbidden.add(`${kind}/${namespace ?? '*'}`);
  }

  allow(kind: string, namespace: string | null): void {
    this.forbidden.delete(`${kind}/${namespace ?? '*'}`);
  }

  /** Nothing is answered any more, and open watches break. */
  refuse(failure: KubernetesFailure = 'refused'): void {
    this.down = failure;
    this.cut();
  }

  accept(): void {
    this.down = null;
  }

  /** The next call of that kind fails so; several are used in their order. */
  failNext(verb: Verb, error: Error): void {
    this.faults.push({ verb, error });
  }

  async list(target: WatchTarget, { limit, continueToken, signal }: ListOptions): Promise<ListPage> {
    this.calls.push(`list ${nameOf(target)}`);
    await this.gate('list', target, signal);
    const all = [...this.objects.values()].filter((object) => covers(target, object));
    const from = Number(continueToken ?? 0);
    const until = limit === 0 ? all.length : from + limit;
    return {
      items: all.slice(from, until),
      resourceVersion: this.resourceVersion,
      continueToken: until < all.length ? String(until) : null,
    };
  }

  async watch(target: WatchTarget, options: WatchOptions): Promise<AsyncIterable<WatchEvent>> {
    const { resourceVersion, timeoutSeconds, signal } = options;
    this.calls.push(`watch ${nameOf(target)}@${resourceVersion}`);
    await this.gate('watch', target, signal);
    if (compareResourceVersions(resourceVersion, String(this.oldest)) < 0) {
      throw new KubernetesApiError('gone', 'too old resource version', { status: 410 });
    }
    const missed = this.history.filter(
      (change) => change.version > Number(resourceVersion) && covers(target, change.object),
    );
    return this.stream(target, missed, timeoutSeconds, signal);
  }

  async probe(signal: AbortSignal): Promise<void> {
    this.calls.push('probe');
    signal.throwIfAborted();
    await Promise.resolve();
    if (this.down !== null) throw new KubernetesApiError(this.down, 'the cluster is down');
  }

  private async gate(verb: Verb, target: WatchTarget, signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
    await Promise.resolve();
    signal.throwIfAborted();
    if (this.down !== null) throw new KubernetesApiError(this.down, `connect to the cluster: ${this.down}`);
    if (this.forbidden.has(`${target.kind.kind}/${target.namespace ?? '*'}`)) {
      throw new KubernetesApiError('forbidden', `cannot ${verb} ${target.kind.plural}`, { status: 403 });
    }
    const fault = this.faults.findIndex((each) => each.verb === verb);
    if (fault >= 0) throw this.faults.splice(fault, 1)[0]?.error as Error;
  }

  /** Open from the call on, not from the first read on, as a connection is. */
  private stream(
    target: WatchTarget,
    missed: readonly Change[],
    timeoutSeconds: number,
    signal: AbortSignal,
  ): AsyncIterable<WatchEvent> {
    const queue: WatchEvent[] = missed.map(({ type, object }) => ({ type, object }));
    const state: { ended: boolean; broken?: Error; notify: () => void } = { ended: false, notify: () => undefined };
    const watch: OpenWatch = {
      target,
      push: (event) => {
        if (state.broken || state.ended) return;
        queue.push(event);
        state.notify();
      },
      end: () => {
        state.ended = true;
        state.notify();
      },
      cut: (error) => {
        state.broken ??= error;
        state.notify();
      },
    };
    const onAbort = (): void => watch.cut(signal.reason as Error);
    signal.addEventListener('abort', onAbort, { once: true });
    const timer = this.clock.after(timeoutSeconds * 1_000, () => watch.end());
    this.open.add(watch);
    const close = (): void => {
      timer.cancel();
      signal.removeEventListener('abort', onAbort);
      this.open.delete(watch);
    };
    return readQueue(queue, state, close);
  }

  private next(): string {
    this.version += 1;
    return this.resourceVersion;
  }

  private commit(type: Change['type'], object: FakeObject): void {
    const { kind, metadata } = object;
    const key = `${kind}/${metadata.namespace}/${metadata.name}`;
    if (type === 'DELETED') this.objects.delete(key);
    else this.objects.set(key, object);
    this.history.push({ version: this.version, type, object });
    for (const watch of this.open) if (covers(watch.target, object)) watch.push({ type, object });
  }
}

async function* readQueue(
  queue: WatchEvent[],
  state: { readonly ended: boolean; readonly broken?: Error; notify: () => void },
  close: () => void,
): AsyncGenerator<WatchEvent, void> {
  try {
    for (;;) {
      const event = queue.shift();
      if (event) yield event;
      else if (state.broken) throw state.broken;
      else if (state.ended) return;
      else {
        await new Promise<void>((resolve) => {
          state.notify = resolve;
        });
      }
    }
  } finally {
    close();
  }
}

function covers({ kind, namespace }: WatchTarget, object: FakeObject): boolean {
  return object.kind === kind.kind && (namespace === null || object.metadata.namespace === namespace);
}

function nameOf({ kind, namespace }: WatchTarget): string {
  return `${kind.plural}/${namespace ?? '*'}`;
}
