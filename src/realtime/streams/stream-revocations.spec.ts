import '../../../test/support/quiet-logger.js';
import { SchedulerRegistry } from '@nestjs/schedule';
import { describe, expect, it } from '@jest/globals';
import { configDefaults } from '../../../test/support/config-defaults.js';
import { FakeClock, settle } from '../../../test/support/fake-clock.js';
import { FakeStreamClient } from '../../../test/support/fake-stream-client.js';
import { FakeStreamTopic } from '../../../test/support/fake-stream-topic.js';
import type { Principal, StandingPrincipals } from '../../auth/index.js';
import { PeriodicTasks } from '../../lifecycle/index.js';
import { CryptoRandom } from '../../runtime/random.js';
import { realtimeConfig } from '../realtime.config.js';
import { SseBroadcaster } from './sse-broadcaster.js';
import { StreamRevocations } from './stream-revocations.js';

const KEY = 'workflow:1';
/** Longer than a revocation takes to reach a stream. */
const PERIOD_MS = 3_000;

function principal(id: string, more: Partial<Principal> = {}): Principal {
  return { kind: 'user', id, role: 'viewer', tenantId: 'default', ...more };
}

function setUp() {
  const clock = new FakeClock();
  const broadcaster = new SseBroadcaster(clock, new CryptoRandom(), configDefaults(realtimeConfig));
  const topic = new FakeStreamTopic(broadcaster);
  const revoked = new Set<Principal>();
  const asked: string[] = [];
  const faults = { isAway: false, gate: Promise.resolve() };
  const principals: Pick<StandingPrincipals, 'stands'> = {
    stands: async (each) => {
      asked.push(each.id);
      await faults.gate;
      if (faults.isAway) throw new Error('the database is away');
      return ![...revoked].some(({ id, role }) => id === each.id && role === each.role);
    },
  };
  const tasks = new PeriodicTasks(new SchedulerRegistry(), clock);
  const revocations = new StreamRevocations(broadcaster, principals as StandingPrincipals, tasks);
  const connect = async (by: Principal): Promise<FakeStreamClient> => {
    const client = new FakeStreamClient();
    broadcaster.open(client.response, by, await broadcaster.authorize(by, [KEY]));
    await settle();
    return client;
  };
  return { clock, broadcaster, topic, revoked, asked, faults, revocations, connect };
}

describe('the streams of those who lost their rights', () => {
  it('are cut within one period, all of them, and nobody else’s', async () => {
    const { clock, broadcaster, topic, revoked, asked, revocations, connect } = setUp();
    const eve = principal('eve');
    const eveAsAdmin = principal('eve', { role: 'admin' });
    const ada = principal('ada');
    const gone = [await connect(eve), await connect(eve)];
    const kept = [await connect(eveAsAdmin), await connect(ada)];
    await revocations.start();
    await clock.advance(PERIOD_MS);
    asked.length = 0;
    revoked.add(eve);
    await clock.advance(PERIOD_MS);
    expect(gone.map(({ destroyed }) => destroyed)).toEqual([true, true]);
    expect(asked).toEqual(['eve', 'eve', 'ada']);
    topic.change(KEY, 'a');
    await settle();
    expect(gone.map(({ eventTypes }) => eventTypes)).toEqual([['snapshot'], ['snapshot']]);
    expect(kept.map(({ eventTypes }) => eventTypes.at(-1))).toEqual(['node_update', 'node_update']);
    expect(broadcaster.stats().sessions).toBe(2);
    await revocations.stop();
    expect(clock.pendingTimers).toBe(0);
  });

  it('are cut if the key was revoked after it was looked at and before the stream was open', async () => {
    const { clock, broadcaster, revoked, revocations, connect } = setUp();
    const eve = principal('eve');
    await revocations.start();
    const topics = await broadcaster.authorize(eve, [KEY]);
    revoked.add(eve);
    await clock.advance(PERIOD_MS);
    const late = new FakeStreamClient();
    broadcaster.open(late.response, eve, topics);
    const other = await connect(principal('ada'));
    expect(late.destroyed).toBe(false);
    await clock.advance(PERIOD_MS);
    expect([late.destroyed, other.destroyed]).toEqual([true, false]);
    await revocations.stop();
  });

  it('are cut also when they were opened while the look was on its way', async () => {
    const { clock, revoked, faults, revocations, connect } = setUp();
    const eve = principal('eve');
    const first = await connect(eve);
    const gate = Promise.withResolvers<void>();
    faults.gate = gate.promise;
    await revocations.start();
    await clock.advance(PERIOD_MS);
    const second = await connect(eve);
    revoked.add(eve);
    gate.resolve();
    await clock.advance(PERIOD_MS);
    expect([first.destroyed, second.destroyed]).toEqual([true, true]);
    await revocations.stop();
  });

  it('live on while nobody can tell, and are cut once it can be told again', async () => {
    const { clock, revoked, faults, revocations, connect } = setUp();
    const eve = principal('eve');
    const client = await connect(eve);
    revoked.add(eve);
    faults.isAway = true;
    await revocations.start();
    await clock.advance(3 * PERIOD_MS);
    expect(client.destroyed).toBe(false);
    faults.isAway = false;
    await clock.advance(PERIOD_MS);
    expect(client.destroyed).toBe(true);
    await revocations.stop();
  });

  it('are not looked at any more after the stop, which waits for a look on its way', async () => {
    const { clock, asked, faults, revocations, connect } = setUp();
    await connect(principal('eve'));
    const gate = Promise.withResolvers<void>();
    faults.gate = gate.promise;
    await revocations.start();
    await clock.advance(PERIOD_MS);
    let isStopped = false;
    const stopped = revocations.stop().then(() => (isStopped = true));
    await settle();
    expect(isStopped).toBe(false);
    gate.resolve();
    await stopped;
    const looks = asked.length;
    await clock.advance(3 * PERIOD_MS);
    expect(asked).toHaveLength(looks);
  });
});
