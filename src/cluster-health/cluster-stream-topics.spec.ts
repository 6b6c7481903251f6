import '../../test/support/quiet-logger.js';
import { describe, expect, it } from '@jest/globals';
import { configDefaults } from '../../test/support/config-defaults.js';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import { FakeStreamClient } from '../../test/support/fake-stream-client.js';
import type { Principal } from '../auth/principal.js';
import { EventBus, SseBroadcaster, realtimeConfig } from '../realtime/index.js';
import { CryptoRandom } from '../runtime/random.js';
import { ClusterStreamTopics } from './cluster-stream-topics.js';
import type { ClustersRepository } from './clusters.repository.js';

const VIEWER: Principal = { kind: 'user', id: 'eve', role: 'viewer', tenantId: 'default' };
const clusterId = '65b9f0c2a9b1d3e4f5061728';

describe('ClusterStreamTopics', () => {
  it('tells that a cluster is deleted, and ends the streams that follow nothing else', async () => {
    const clock = new FakeClock();
    const config = configDefaults(realtimeConfig);
    const bus = new EventBus(clock, config);
    const broadcaster = new SseBroadcaster(clock, new CryptoRandom(), config);
    const health = { reachable: true };
    const stored = { _id: { toHexString: () => clusterId }, tenantId: 'default', sequence: 1, health };
    const clusters = { find: () => Promise.resolve(stored), list: () => Promise.resolve([stored]) };
    new ClusterStreamTopics(clusters as unknown as ClustersRepository, bus, broadcaster).register();
    await bus.start();
    const follow = async (key: string): Promise<FakeStreamClient> => {
      const client = new FakeStreamClient();
      broadcaster.open(client.response, VIEWER, await broadcaster.authorize(VIEWER, [key]));
      await settle();
      return client;
    };
    const [one, all] = [await follow(`cluster:${clusterId}`), await follow('clusters')];
    const deleted = { clusterId, tenantId: 'default', name: 'prod', change: 'deleted', health: null } as const;
    bus.publish('cluster.changed', { ...deleted, sequence: 2 });
    await settle();
    for (const { events } of [one, all]) {
      expect(events.at(-1)?.data).toEqual({ clusterId, name: 'prod', deleted: true });
    }
    expect([one.writableFinished, all.writableFinished]).toEqual([true, false]);
    await bus.stop(AbortSignal.abort());
  });
});
