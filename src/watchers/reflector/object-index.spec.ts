import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { type IndexedObject, ObjectIndex } from './object-index.js';

const object = (
  kind: string,
  name: string,
  uid: string,
  version = 1,
  ownerUid: string | null = null,
): IndexedObject => ({
  kind,
  name,
  uid,
  namespace: 'shop',
  resourceVersion: String(version),
  ownerUid,
});

describe('ObjectIndex', () => {
  const deployment = object('Deployment', 'web', 'd');
  const replicaSet = object('ReplicaSet', 'web-1', 'r', 1, 'd');
  const pod = object('Pod', 'web-1-x', 'p', 1, 'r');

  it('finds what an owner owns through others, and the owners of an object', () => {
    const index = new ObjectIndex<IndexedObject>();
    for (const each of [pod, replicaSet, deployment]) index.put(each);
    expect(index.ownedBy('d', 'Pod')).toEqual([pod]);
    expect(index.ownedBy('d', 'ReplicaSet')).toEqual([replicaSet]);
    expect(index.lineage(pod)).toEqual([pod, replicaSet, deployment]);
  });

  it('is not trapped by owners that own each other', () => {
    const index = new ObjectIndex<IndexedObject>();
    const [a, b] = [object('Pod', 'a', 'a', 1, 'b'), object('Pod', 'b', 'b', 1, 'a')];
    index.put(a);
    index.put(b);
    expect(index.lineage(a)).toEqual([a, b]);
    expect(index.ownedBy('a', 'Pod')).toEqual([b, a]);
  });

  it('takes another uid under a known name as an end and a beginning', () => {
    const index = new ObjectIndex<IndexedObject>();
    index.put(pod);
    const recreated = object('Pod', 'web-1-x', 'p2', 5, 'r');
    expect(index.put(recreated)).toEqual([pod, recreated]);
    expect(index.ofUid('p')).toBeUndefined();
    expect(index.ownedBy('r', 'Pod')).toEqual([recreated]);
  });

  it('ignores an older state, and the end of an object that it does not have', () => {
    const index = new ObjectIndex<IndexedObject>();
    const newer = { ...pod, resourceVersion: '10' };
    index.put(newer);
    expect(index.put({ ...pod, resourceVersion: '9' })).toEqual([]);
    expect(index.remove(object('Pod', 'web-1-x', 'another'))).toEqual([]);
    expect(index.get('Pod', 'shop', 'web-1-x')).toBe(newer);
  });

  it('equals the list after a list, and answers with all that differed', () => {
    const names = fc.array(fc.tuple(fc.integer({ min: 0, max: 9 }), fc.integer({ min: 0, max: 2 })), { maxLength: 20 });
    const toObjects = (entries: Array<[number, number]>, version: number): IndexedObject[] =>
      [...new Map(entries)].map(([name, incarnation]) =>
        object('Pod', `pod-${name}`, `${name}-${incarnation}`, version, 'r'),
      );
    fc.assert(
      fc.property(names, names, (first, second) => {
        const index = new ObjectIndex<IndexedObject>();
        const before = toObjects(first, 1);
        const listed = toObjects(second, 2);
        index.replace('Pod', () => true, before);
        const touched = new Set(index.replace('Pod', () => true, listed).map(({ uid }) => uid));
        expect(new Set(index.inNamespace('Pod', 'shop'))).toEqual(new Set(listed));
        expect(new Set(index.ownedBy('r', 'Pod'))).toEqual(new Set(listed));
        expect(index.size).toBe(listed.length);
        for (const { uid } of [...before, ...listed]) expect(touched).toContain(uid);
        expect(index.replace('Pod', () => true, listed)).toEqual([]);
        index.drop('Pod', 'shop');
        expect(index.size).toBe(0);
        expect(index.ownedBy('r', 'Pod')).toEqual([]);
      }),
    );
  });

  it('leaves namespaces alone that a list does not cover', () => {
    const index = new ObjectIndex<IndexedObject>();
    index.put(pod);
    index.replace('Pod', (namespace) => namespace === 'other', []);
    expect(index.size).toBe(1);
  });
});
