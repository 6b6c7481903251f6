import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  applyObject,
  deleteObject,
  findKind,
  getMetadata,
  type KubernetesApi,
  managersOf,
  type ObjectReference,
} from '../../src/kubernetes/index.js';

export interface ObjectServerUnderTest {
  readonly api: KubernetesApi;
  readonly namespace: string;
  /** Another client sets a value of a ConfigMap, created if need be. */
  setData(name: string, manager: string, key: string, value: string): Promise<void>;
  setFinalizers(name: string, finalizers: readonly string[]): Promise<void>;
  close(): Promise<void>;
}

/** What the executor relies on in an API server. */
export function objectServerContract(name: string, open: () => Promise<ObjectServerUnderTest>): void {
  describe(`${name} as an API server for objects`, () => {
    let opened: ObjectServerUnderTest | undefined;
    const subject = (): ObjectServerUnderTest => {
      if (!opened) throw new Error('not open');
      return opened;
    };
    const definition = findKind('ConfigMap');
    if (!definition) throw new Error('ConfigMap is a known kind');
    const at = (object: string): ObjectReference => ({ definition, namespace: subject().namespace, name: object });
    const manifest = (data: Record<string, string>) => ({ metadata: { labels: { team: 'web' } }, data });
    const read = (object: string) => getMetadata(subject().api, at(object));
    const apply = async (object: string, data: Record<string, string>) =>
      applyObject(subject().api, at(object), { manifest: manifest(data), existing: await read(object) });

    beforeAll(async () => {
      opened = await open();
    });
    afterAll(() => opened?.close());

    it('tells created, unchanged and configured apart', async () => {
      expect(await read('steps')).toBeUndefined();
      expect(await apply('steps', { color: 'blue' })).toMatchObject({ outcome: 'created' });
      const created = await read('steps');
      expect(created).toMatchObject({ labels: { team: 'web' } });
      const unchanged = await apply('steps', { color: 'blue' });
      expect(unchanged).toMatchObject({
        outcome: 'unchanged',
        metadata: { resourceVersion: created?.resourceVersion },
      });
      expect(await apply('steps', { color: 'red' })).toMatchObject({
        outcome: 'configured',
        metadata: { uid: created?.uid },
      });
    });

    it('refuses a creation where there is an object, and an update of another one', async () => {
      const api = subject().api;
      await subject().setData('taken', 'somebody', 'color', 'green');
      const create = (data: Record<string, string>) =>
        applyObject(api, at('taken'), { manifest: manifest(data), existing: undefined });
      expect(await create({ size: 'small' })).toEqual({ outcome: 'changed' });
      expect(await create({ color: 'blue' })).toMatchObject({ outcome: 'conflict' });
      const existing = await read('taken');
      if (!existing) throw new Error('it was just made');
      const other = { ...existing, uid: '00000000-0000-4000-8000-000000000000' };
      const update = { manifest: manifest({ size: 'small' }), existing: other };
      expect(await applyObject(api, at('taken'), update)).toEqual({ outcome: 'changed' });
      expect((await read('taken'))?.resourceVersion).toBe(existing.resourceVersion);
    });

    it('answers a dry run as it would the apply, and stores nothing of it', async () => {
      const dryRun = async (object: string, data: Record<string, string>) =>
        applyObject(subject().api, at(object), {
          manifest: manifest(data),
          existing: await read(object),
          dryRun: true,
        });
      expect(await dryRun('tried', { color: 'blue' })).toMatchObject({ outcome: 'created' });
      expect(await read('tried')).toBeUndefined();
      await apply('tried', { color: 'blue' });
      const stored = await read('tried');
      expect(await dryRun('tried', { color: 'red' })).toMatchObject({ metadata: { uid: stored?.uid } });
      expect(await read('tried')).toEqual(stored);
      await subject().setData('tried', 'somebody', 'color', 'green');
      expect(await dryRun('tried', { color: 'red' })).toMatchObject({
        outcome: 'conflict',
        conflicts: [{ manager: 'somebody', field: '.data.color' }],
      });
    });

    it('names the manager and the field of a conflict, and knows the owners of fields', async () => {
      await apply('contested', { color: 'blue', size: 'small' });
      await subject().setData('contested', 'somebody', 'color', 'red');
      expect(await apply('contested', { color: 'blue', size: 'small' })).toMatchObject({
        outcome: 'conflict',
        conflicts: [{ manager: 'somebody', field: '.data.color' }],
      });
      const fields = (await read('contested'))?.managedFields;
      expect(managersOf(fields, ['data', 'color']).map(({ manager }) => manager)).toEqual(['somebody']);
      expect(managersOf(fields, ['data', 'size']).map(({ manager }) => manager)).toEqual(['crowsnest']);
      // What the manifest no longer holds is given up, and is gone where nobody else owns it.
      expect(await apply('contested', {})).toMatchObject({ outcome: 'configured' });
      const after = (await read('contested'))?.managedFields;
      expect(managersOf(after, ['data', 'size'])).toEqual([]);
    });

    it('deletes exactly the object that is meant, and keeps it while it has finalizers', async () => {
      const api = subject().api;
      await apply('going', { color: 'blue' });
      const { uid } = (await read('going')) ?? { uid: '' };
      const other = '00000000-0000-4000-8000-000000000000';
      expect(await deleteObject(api, at('going'), { uid: other, propagationPolicy: 'Background' })).toBe('replaced');
      await subject().setFinalizers('going', ['example.test/hold']);
      expect(await deleteObject(api, at('going'), { uid, propagationPolicy: 'Background' })).toBe('requested');
      expect(await read('going')).toMatchObject({ uid, finalizers: ['example.test/hold'] });
      expect((await read('going'))?.deletionTimestamp).toBeDefined();
      await subject().setFinalizers('going', []);
      expect(await read('going')).toBeUndefined();
      expect(await deleteObject(api, at('going'), { uid, propagationPolicy: 'Background' })).toBe('absent');
    });
  });
}
