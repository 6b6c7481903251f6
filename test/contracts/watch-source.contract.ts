import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { KubernetesApiError, findKind } from '../../src/kubernetes/index.js';
import { StopReason } from '../../src/runtime/stop-reason.js';
import { compareResourceVersions } from '../../src/watchers/resource-version.js';
import type { WatchEvent, WatchSource, WatchTarget } from '../../src/watchers/reflector/watch-source.js';

export interface WatchSourceUnderTest {
  readonly source: WatchSource;
  /** Two empty namespaces. */
  readonly namespaces: readonly [string, string];
  addConfigMap(namespace: string, name: string): Promise<void>;
  changeConfigMap(namespace: string, name: string): Promise<void>;
  removeConfigMap(namespace: string, name: string): Promise<void>;
  /** A resource version that the server no longer has the history of. */
  expiredVersion(): Promise<string>;
  /** Lets that much time pass. */
  elapse(ms: number): Promise<void>;
  close(): Promise<void>;
}

interface Metadata {
  readonly name: string;
  readonly namespace: string;
  readonly uid: string;
  readonly resourceVersion: string;
}

/** What every WatchSource promises. */
export function watchSourceContract(name: string, open: () => Promise<WatchSourceUnderTest>): void {
  describe(`${name} as a WatchSource`, () => {
    let opened: WatchSourceUnderTest | undefined;
    const subject = (): WatchSourceUnderTest => {
      if (!opened) throw new Error('not open');
      return opened;
    };
    const never = new AbortController().signal;
    const kind = findKind('ConfigMap');
    if (!kind) throw new Error('ConfigMap is a known kind');
    const inFirst = (): WatchTarget => ({ kind, namespace: subject().namespaces[0] });
    const page = (target: WatchTarget, limit = 500, continueToken: string | null = null) =>
      subject().source.list(target, { limit, continueToken, signal: never });
    const watch = (target: WatchTarget, resourceVersion: string, signal = never, timeoutSeconds = 300) =>
      subject().source.watch(target, { resourceVersion, timeoutSeconds, signal });

    beforeAll(async () => {
      opened = await open();
      for (const each of ['a', 'b', 'c']) await opened.addConfigMap(opened.namespaces[0], each);
      await opened.addConfigMap(opened.namespaces[1], 'elsewhere');
    }, 60_000);
    afterAll(() => opened?.close());

    it('lists the objects of a namespace, with identity and the version to watch from', async () => {
      const { items, resourceVersion, continueToken } = await page(inFirst());
      const listed = items.map(metadataOf).filter(isOurs);
      expect(listed.map((each) => each.name).toSorted()).toEqual(['a', 'b', 'c']);
      for (const each of listed) {
        expect(each.namespace).toBe(subject().namespaces[0]);
        expect(each.uid).not.toBe('');
        expect(compareResourceVersions(each.resourceVersion, resourceVersion)).toBeLessThanOrEqual(0);
      }
      expect(continueToken).toBeNull();
    });

    it('pages a list and keeps one version over its pages', async () => {
      const first = await page(inFirst(), 2);
      expect(first.items).toHaveLength(2);
      expect(first.continueToken).not.toBeNull();
      const second = await page(inFirst(), 500, first.continueToken);
      expect(second.resourceVersion).toBe(first.resourceVersion);
      expect(second.continueToken).toBeNull();
      const names = [...first.items, ...second.items].map((item) => metadataOf(item).name);
      expect(new Set(names).size).toBe(names.length);
      expect(names).toEqual(expect.arrayContaining(['a', 'b', 'c']));
    });

    it('tells what happened after the version, in order, and only in the namespace', async () => {
      const [first, second] = subject().namespaces;
      const { resourceVersion } = await page(inFirst());
      const events = await watch(inFirst(), resourceVersion);
      await subject().addConfigMap(second, 'not-seen');
      await subject().addConfigMap(first, 'd');
      await subject().changeConfigMap(first, 'd');
      await subject().removeConfigMap(first, 'd');
      const seen = await take(events, 3);
      expect(seen.map(({ type, name: of }) => `${type} ${of}`)).toEqual(['ADDED d', 'MODIFIED d', 'DELETED d']);
      const versions = [resourceVersion, ...seen.map((each) => each.resourceVersion)];
      expect(versions).toEqual(versions.toSorted(compareResourceVersions));
      expect(new Set(versions).size).toBe(versions.length);
      expect(new Set(seen.map(({ uid }) => uid)).size).toBe(1);
    });

    it('tells of every namespace when none is named', async () => {
      const [first, second] = subject().namespaces;
      const { resourceVersion } = await page({ kind, namespace: null });
      const events = await watch({ kind, namespace: null }, resourceVersion);
      await subject().addConfigMap(first, 'wide');
      await subject().addConfigMap(second, 'wide');
      const seen = await take(events, 2, (each) => each.name === 'wide');
      expect(seen.map(({ namespace }) => namespace)).toEqual([first, second]);
    });

    it('goes on where an earlier watch ended', async () => {
      const { resourceVersion } = await page(inFirst());
      await subject().addConfigMap(subject().namespaces[0], 'e');
      const [added] = await take(await watch(inFirst(), resourceVersion), 1);
      await subject().removeConfigMap(subject().namespaces[0], 'e');
      const [removed] = await take(await watch(inFirst(), added?.resourceVersion ?? ''), 1);
      expect([added?.type, removed?.type]).toEqual(['ADDED', 'DELETED']);
    });

    it('ends a watch cleanly when its time is over', async () => {
      const { resourceVersion } = await page(inFirst());
      const events = await watch(inFirst(), resourceVersion, never, 1);
      const ended = drain(events);
      await subject().elapse(1_500);
      await expect(ended).resolves.toBe('ended');
    });

    it('answers 410 for a version whose history is gone', async () => {
      const resourceVersion = await subject().expiredVersion();
      const outcome = await watch(inFirst(), resourceVersion).then(firstError, (error: unknown) => error);
      expect(outcome).toBeInstanceOf(KubernetesApiError);
      expect((outcome as KubernetesApiError).failure).toBe('gone');
    }, 60_000);

    it("rejects with the signal's reason when it is aborted", async () => {
      const { resourceVersion } = await page(inFirst());
      const abort = new AbortController();
      const reason = new StopReason('test');
      const ended = drain(await watch(inFirst(), resourceVersion, abort.signal));
      abort.abort(reason);
      await expect(ended).rejects.toBe(reason);
      await expect(watch(inFirst(), resourceVersion, abort.signal)).rejects.toBe(reason);
    });

    it('answers a probe', async () => {
      await expect(subject().source.probe(never)).resolves.toBeUndefined();
    });
  });
}

function metadataOf(object: unknown): Metadata {
  return (object as { metadata: Metadata }).metadata;
}

/** Kubernetes puts a ConfigMap of its own into every namespace. */
function isOurs({ name }: Metadata): boolean {
  return name !== 'kube-root-ca.crt';
}

async function take(
  events: AsyncIterable<WatchEvent>,
  count: number,
  wanted: (seen: Metadata & { type: string }) => boolean = isOurs,
): Promise<Array<Metadata & { type: string }>> {
  const seen: Array<Metadata & { type: string }> = [];
  for await (const event of events) {
    if (event.type === 'ERROR') throw event.error;
    if (event.type === 'BOOKMARK') continue;
    const each = { type: event.type, ...metadataOf(event.object) };
    if (wanted(each)) seen.push(each);
    if (seen.length === count) break;
  }
  return seen;
}

async function drain(events: AsyncIterable<WatchEvent>): Promise<string> {
  for await (const event of events) if (event.type === 'ERROR') throw event.error;
  return 'ended';
}

async function firstError(events: AsyncIterable<WatchEvent>): Promise<unknown> {
  try {
    return await drain(events);
  } catch (error) {
    return error;
  }
}
