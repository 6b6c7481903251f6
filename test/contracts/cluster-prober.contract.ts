import { describe, expect, it } from '@jest/globals';
import type { ClusterProber } from '../../src/cluster-health/cluster-prober.js';
import type { ClusterAccess } from '../../src/kubernetes/cluster-access.js';
import { StopReason } from '../../src/runtime/stop-reason.js';

export interface ProberUnderTest {
  readonly prober: ClusterProber;
  /** Version v1.36.3, kube-system UID `uid-1`, two nodes of 4 cores, 8 GiB and 110 pods, one of them ready; namespaces default, kube-system. */
  readonly healthy: ClusterAccess;
  /** The same cluster with a credential that it does not take. */
  readonly wrongCredential: ClusterAccess;
  /** A credential that may read the version and nothing else. */
  readonly fewRights: ClusterAccess;
  readonly closedPort: ClusterAccess;
  /** Takes the connection and never says a word. */
  readonly silent: ClusterAccess;
}

/** What every ClusterProber promises. */
export function clusterProberContract(name: string, underTest: () => ProberUnderTest): void {
  describe(`${name} as a ClusterProber`, () => {
    const options = { timeoutMs: 5_000, signal: new AbortController().signal };

    it('finds a healthy cluster reachable, with latency, version and identity', async () => {
      const { prober, healthy } = underTest();
      const result = await prober.check(healthy, options);
      expect(result).toEqual({
        reachable: true,
        latencyMs: expect.any(Number),
        version: 'v1.36.3',
        uid: 'uid-1',
        reason: null,
      });
      expect(result.latencyMs).toBeLessThanOrEqual(options.timeoutMs);
    });

    it('counts a cluster that does not take the credential as not reachable', async () => {
      const { prober, wrongCredential } = underTest();
      const result = await prober.check(wrongCredential, options);
      expect(result).toMatchObject({ reachable: false, latencyMs: null, uid: null, reason: { code: 'unauthorized' } });
    });

    it('tells a closed port from a server that does not answer in time', async () => {
      const { prober, closedPort, silent } = underTest();
      expect((await prober.check(closedPort, options)).reason?.code).toBe('refused');
      expect((await prober.check(silent, { ...options, timeoutMs: 100 })).reason?.code).toBe('timeout');
    });

    it('counts a cluster that answers but gives few rights as reachable, without its identity', async () => {
      const { prober, fewRights } = underTest();
      expect(await prober.check(fewRights, options)).toMatchObject({ reachable: true, version: 'v1.36.3', uid: null });
    });

    it('rejects with the reason of a wanted stop', async () => {
      const { prober, silent } = underTest();
      const stop = new AbortController();
      const checking = prober.check(silent, { ...options, signal: stop.signal });
      const reason = new StopReason('the test');
      stop.abort(reason);
      await expect(checking).rejects.toBe(reason);
      await expect(prober.metadata(silent, { ...options, signal: stop.signal, namespaces: null })).rejects.toBe(reason);
    });

    it('reads nodes, their summed capacity and namespaces', async () => {
      const { prober, healthy } = underTest();
      expect(await prober.metadata(healthy, { ...options, namespaces: null })).toEqual({
        nodes: { total: 2, ready: 1 },
        capacity: { cpu: 8, memory: 16 * 2 ** 30, pods: 220 },
        namespaces: { total: 2, names: ['default', 'kube-system'] },
        unavailable: {},
      });
    });

    it('looks only for the namespaces that a limited cluster may use', async () => {
      const { prober, healthy } = underTest();
      const { namespaces } = await prober.metadata(healthy, { ...options, namespaces: ['default', 'absent'] });
      expect(namespaces).toEqual({ total: 1, names: ['default'] });
    });

    it('tells why a part of the metadata is null', async () => {
      const { prober, fewRights } = underTest();
      const metadata = await prober.metadata(fewRights, { ...options, namespaces: null });
      const forbidden = expect.objectContaining({ code: 'forbidden' });
      expect(metadata).toEqual({
        nodes: null,
        capacity: null,
        namespaces: null,
        unavailable: { nodes: forbidden, capacity: forbidden, namespaces: forbidden },
      });
    });
  });
}
