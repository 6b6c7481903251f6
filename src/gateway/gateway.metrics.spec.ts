import { afterEach, describe, expect, it } from '@jest/globals';
import { Registry } from 'prom-client';
import { errorOf } from '../../test/contracts/subsystem-connection.contract.js';
import { AnswersRoom } from '../../test/support/answers-room.js';
import { FlowWatchSubsystem } from '../../test/support/flowwatch-subsystem.js';
import { EgressPolicy, GuardedDialer } from '../egress/index.js';
import { CryptoRandom } from '../runtime/random.js';
import { ConnectSubsystemConnections } from './connections/connect-subsystem-connections.js';
import { GatewayMetrics } from './gateway.metrics.js';
import { RunService } from './gen/flowwatch/v1/run_service_pb.js';
import { SharedRunFeeds } from './live/shared-run-feeds.js';

const { getRun } = RunService.method;
const NOBODY = 'http://127.0.0.1:1';
const registryFigures = () => ({
  states: { connecting: 0, connected: 0, stale: 0 },
  streams: 0,
  accepted: 0,
  refused: new Map<string, number>(),
  subsystems: [],
});

describe('the metrics of the gateway', () => {
  const room = new AnswersRoom();
  const { clock, directory } = room;
  const connections = new ConnectSubsystemConnections({
    dialer: new GuardedDialer(new EgressPolicy({ allow: [], deny: [], servesLoopbackOnly: true }), clock),
    clock,
    random: new CryptoRandom(),
    limits: { callTimeoutMs: 10_000, maxMessageBytes: 4 << 20 },
    installationId: () => 'here',
  });
  const feeds = new SharedRunFeeds(directory, room.runOwners, room.workflowOwners, clock, new CryptoRandom(), {
    pollMs: 1_000,
  });
  const registry = new Registry();
  void new GatewayMetrics(registry, { registryFigures }, connections, feeds, room.runOwners);
  const scraped = async (): Promise<readonly string[]> =>
    (await registry.metrics()).split('\n').filter((line) => line !== '' && !line.startsWith('#'));

  let closing: (() => unknown)[] = [];
  afterEach(async () => {
    for (const close of closing.toReversed()) await close();
    closing = [];
  });

  it('tell the calls to subsystems by how they ended, and what stands open', async () => {
    const subsystem = await new FlowWatchSubsystem({ id: 'a', runs: 1 }).start();
    closing.push(() => subsystem.stop());
    const good = connections.open('a', () => [subsystem.endpoint]);
    const dead = connections.open('dead', () => [NOBODY]);
    await good.read(getRun, { runId: 'a-run-00000' });
    await errorOf(good.read(getRun, { runId: 'unknown' }));
    for (let call = 0; call < 5; call += 1) await errorOf(dead.read(getRun, { runId: 'r' }));
    for (let turn = 0; turn < 3; turn += 1) {
      const asked = good.timeouts.begin();
      await clock.advance(1_000);
      const late = subsystem.hold('GetRun');
      const error = errorOf(good.read(getRun, { runId: 'a-run-00000' }, { timeoutMs: 1 }));
      await clock.advance(1);
      asked?.ended(await error);
      late();
    }
    expect(await scraped()).toEqual(
      expect.arrayContaining([
        'crowsnest_gateway_subsystem_connections 1',
        'crowsnest_gateway_breakers_open{kind="timeout"} 1',
        'crowsnest_gateway_subsystem_calls_total{code="ok"} 1',
        'crowsnest_gateway_subsystem_calls_total{code="not_found"} 1',
        'crowsnest_gateway_subsystem_calls_total{code="unavailable"} 5',
        'crowsnest_gateway_subsystem_calls_total{code="deadline_exceeded"} 3',
      ]),
    );
    for (let call = 0; call < 2; call += 1) await errorOf(dead.read(getRun, { runId: 'r' }));
    expect(await scraped()).toContain('crowsnest_gateway_breakers_open{kind="dial"} 1');
    good.close();
    dead.close();
    expect(await scraped()).toEqual(
      expect.arrayContaining([
        'crowsnest_gateway_subsystem_connections 0',
        'crowsnest_gateway_breakers_open{kind="dial"} 0',
        'crowsnest_gateway_breakers_open{kind="timeout"} 0',
        'crowsnest_gateway_subsystem_calls_total{code="ok"} 1',
      ]),
    );
  });

  it('tell how many runs are remembered, how many were looked for, and the feeds that somebody watches', async () => {
    room.add('b', ({ service }) => service(RunService, { getRun: () => ({ run: { id: 'r' } }) }));
    const subsystem = directory.list(room.caller().principal)[0];
    if (!subsystem) throw new Error('it was added');
    await room.runOwners.find(room.caller(), 'r');
    await room.runOwners.find(room.caller(), 'r');
    const { leave } = feeds.join(subsystem, () => undefined, { withSnapshot: false });
    expect(await scraped()).toEqual(
      expect.arrayContaining([
        'crowsnest_gateway_cached_runs 1',
        'crowsnest_gateway_run_lookups_total{result="hit"} 1',
        'crowsnest_gateway_run_lookups_total{result="miss"} 1',
        'crowsnest_gateway_run_feeds 1',
      ]),
    );
    leave();
    expect(await scraped()).toContain('crowsnest_gateway_run_feeds 0');
  });
});
