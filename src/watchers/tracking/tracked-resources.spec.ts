import { describe, expect, it } from '@jest/globals';
import { Types } from 'mongoose';
import type { ResourceDocument } from './resource.schema.js';
import { TrackedResources } from './tracked-resources.js';

const clusterId = new Types.ObjectId();

/** The fields that the mirror reads. */
function documentOf(name: string, change: Partial<ResourceDocument> = {}): ResourceDocument {
  const document = {
    _id: new Types.ObjectId(),
    clusterId,
    kind: 'Pod',
    namespace: 'shop',
    name,
    watched: true,
    version: 1,
  };
  return { ...document, ...change } as ResourceDocument;
}

const namesIn = (tracked: TrackedResources): string[] =>
  [...tracked.all()].map(({ document }) => document.name).toSorted();

describe('TrackedResources', () => {
  it('finds resources by object and by place, and follows one that moves', () => {
    const tracked = new TrackedResources();
    const document = documentOf('web');
    const resource = tracked.put(document);
    const at = (namespace: string) => ({ clusterId: clusterId.toString(), kind: 'Pod', namespace, name: 'web' });
    expect([...tracked.ofObject(at('shop'))]).toEqual([resource]);
    tracked.put({ ...document, namespace: 'other', version: 2 });
    expect([...tracked.ofObject(at('shop'))]).toEqual([]);
    expect([...tracked.inSet(clusterId.toString(), 'Pod', 'other')]).toEqual([resource]);
    expect(tracked.sets()).toEqual([{ clusterId: clusterId.toString(), kind: 'Pod', namespace: 'other' }]);
  });

  it('keeps the newer of two documents', () => {
    const tracked = new TrackedResources();
    const document = documentOf('web', { version: 5 });
    tracked.put(document);
    expect(tracked.put({ ...document, version: 4, name: 'old' }).document).toBe(document);
  });

  it('refreshes only what it tracks', () => {
    const tracked = new TrackedResources();
    tracked.refresh(documentOf('web'));
    expect(tracked.size).toBe(0);
  });

  it('takes over what a reload reads, and drops what it does not', async () => {
    const tracked = new TrackedResources();
    const [kept, dropped, found] = [documentOf('kept'), documentOf('dropped'), documentOf('found')];
    tracked.put(kept);
    tracked.put(dropped);
    await tracked.reload(() => Promise.resolve([kept, found]));
    expect(namesIn(tracked)).toEqual(['found', 'kept']);
  });

  it('keeps what was put, and leaves out what was removed, while a reload read', async () => {
    const tracked = new TrackedResources();
    const [removed, unwatched] = [documentOf('removed'), documentOf('unwatched')];
    tracked.put(removed);
    tracked.put(unwatched);
    await tracked.reload(async () => {
      await Promise.resolve();
      tracked.put(documentOf('late'));
      tracked.remove(removed._id.toString());
      tracked.put({ ...unwatched, watched: false, version: 2 });
      return [removed, unwatched];
    });
    expect(namesIn(tracked)).toEqual(['late']);
    await tracked.reload(() => Promise.resolve([]));
    expect(namesIn(tracked)).toEqual([]);
  });
});
