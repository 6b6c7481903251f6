import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { findKind, isAllowed, type KubernetesApi, ownUserName, readNamespace } from '../../src/kubernetes/index.js';

export interface ClusterServerUnderTest {
  readonly api: KubernetesApi;
  /** One that exists. */
  readonly namespace: string;
  readonly userName: string;
  /** Begins its deletion, which does not come to an end. */
  terminate(): Promise<void>;
  /** With all rights on ConfigMaps but to delete them, patch on one Secret, and none on namespaces. */
  readonly limited: KubernetesApi;
  readonly namedSecret: string;
  close(): Promise<void>;
}

/** What validators rely on in an API server, beside objects. */
export function clusterServerContract(name: string, open: () => Promise<ClusterServerUnderTest>): void {
  describe(`${name} as an API server for validators`, () => {
    let opened: ClusterServerUnderTest | undefined;
    const subject = (): ClusterServerUnderTest => {
      if (!opened) throw new Error('not open');
      return opened;
    };
    const known = (kind: string) => {
      const definition = findKind(kind);
      if (!definition) throw new Error(`${kind} is a known kind`);
      return definition;
    };

    beforeAll(async () => {
      opened = await open();
    });
    afterAll(() => opened?.close());

    it('says what the credential is allowed, for a kind and for one object', async () => {
      const { limited, namespace, namedSecret } = subject();
      const ask = (kind: string, verb: string, object?: string): Promise<boolean> =>
        isAllowed(limited, { verb, definition: known(kind), namespace, ...(object && { name: object }) });
      expect(await ask('ConfigMap', 'patch')).toBe(true);
      expect(await ask('ConfigMap', 'delete')).toBe(false);
      expect(await ask('Secret', 'patch')).toBe(false);
      expect(await ask('Secret', 'patch', namedSecret)).toBe(true);
      expect(await ask('Secret', 'patch', 'another')).toBe(false);
    });

    it('says whose the credential is', async () => {
      expect(await ownUserName(subject().limited)).toBe(subject().userName);
    });

    it('tells namespaces that are there, going, gone and not to be seen', async () => {
      const { api, limited, namespace } = subject();
      expect(await readNamespace(api, namespace)).toEqual({ terminating: false });
      expect(await readNamespace(api, `not-${namespace}`)).toBeUndefined();
      await expect(readNamespace(limited, namespace)).rejects.toMatchObject({ failure: 'forbidden' });
      await subject().terminate();
      expect(await readNamespace(api, namespace)).toEqual({ terminating: true });
    });
  });
}
