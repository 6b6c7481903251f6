import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type AgentRoom, openAgentRoom } from '../../../test/support/agent-room.js';
import { ADMIN } from '../../../test/support/tenant-room.js';
import type { Agent } from '../agent.js';

const NEVER = new AbortController().signal;
const HELD = { assertHeld: (): void => undefined };
const PERIOD = 30_000;

let room: AgentRoom;
beforeAll(async () => {
  room = await openAgentRoom();
});
afterAll(() => room.close());
beforeEach(() => room.clear());

const sweep = () => room.sweep.sweep(NEVER, HELD);
const healthOf = async (agent: Agent): Promise<string> => (await room.service.get(ADMIN, agent.id)).health;

async function add(...names: string[]): Promise<Agent[]> {
  return Promise.all(names.map(async (name) => (await room.addAgent(name)).agent));
}

/** Rounds at their period, in each of which these agents have beaten. */
async function rounds(count: number, ...beating: Agent[]): Promise<Awaited<ReturnType<typeof sweep>>[]> {
  const results = [];
  for (let round = 0; round < count; round += 1) {
    await room.clock.advance(PERIOD);
    for (const agent of beating) await room.beat(agent);
    results.push(await sweep());
  }
  return results;
}

describe('AgentHealthSweep', () => {
  it('calls agents offline that are not seen for 90 s, whether they ever beat or not, and takes their jobs', async () => {
    const [alive, dead, silent] = (await add('alive', 'dead', 'silent', 'fourth', 'fifth')) as [Agent, Agent, Agent];
    const others = (await room.service.list(ADMIN, { limit: 10 })).items.filter(({ name }) => name.startsWith('f'));
    await sweep();
    await room.beat(dead);
    const results = await rounds(4, alive, ...others);
    expect(results.map(({ offline }) => offline)).toEqual([0, 0, 0, 2]);
    expect(await Promise.all([alive, dead, silent].map(healthOf))).toEqual(['online', 'offline', 'offline']);
    expect(new Set(room.leases.released)).toEqual(
      new Set([
        [dead.id, 'agent_offline'],
        [silent.id, 'agent_offline'],
      ]),
    );
    const offline = room.bus.of('agent.changed').filter(({ change }) => change === 'offline');
    expect(offline.map(({ agent }) => agent.id).toSorted()).toEqual([dead.id, silent.id].toSorted());
    expect(await room.registry.metrics()).toContain('crowsnest_agents{health="offline"} 2');
    room.sweep.forget();
    expect(await room.registry.metrics()).toContain('crowsnest_agents{health="offline"} 0');
    await room.beat(dead);
    expect(await healthOf(dead)).toBe('online');
    expect(await rounds(1, alive, dead, ...others)).toMatchObject([{ offline: 0 }]);
  });

  it('lets a heartbeat win that arrives between its look and its verdict', async () => {
    const [late] = (await add('late')) as [Agent];
    await sweep();
    await rounds(3);
    const markOffline = room.health.markOffline.bind(room.health);
    room.health.markOffline = async (...args) => {
      await room.beat(late);
      return markOffline(...args);
    };
    const results = await rounds(1);
    room.health.markOffline = markOffline;
    expect(results).toMatchObject([{ offline: 0, released: 0 }]);
    expect(await healthOf(late)).toBe('online');
    expect(room.leases.released).toEqual([]);
  });

  it('changes nothing as a leader that was paused between its look and its verdict', async () => {
    const [agent, other] = (await add('agent', 'other')) as [Agent, Agent];
    await sweep();
    await rounds(3, other);
    const markOffline = room.health.markOffline.bind(room.health);
    room.health.markOffline = async (...args) => {
      room.health.markOffline = markOffline;
      // Ten minutes, in which another leads and the agent comes back.
      await rounds(20, agent, other);
      return markOffline(...args);
    };
    const [late] = await rounds(1, other);
    expect(late).toMatchObject({ offline: 0 });
    expect(await healthOf(agent)).toBe('online');
  });

  it('holds back when most vanish together, until they beat or one more verdict has passed', async () => {
    const agents = await add('a', 'b', 'c', 'd');
    await sweep();
    const held = await rounds(4);
    expect(held.map((result) => result.held)).toEqual([null, null, null, 'most_vanished']);
    expect(await rounds(1, ...agents)).toMatchObject([{ held: null, offline: 0 }]);
    await rounds(3);
    const dead = await rounds(4);
    expect(dead.map(({ offline }) => offline)).toEqual([0, 0, 0, 4]);
    expect(await room.registry.metrics()).toContain('crowsnest_agent_verdicts_held_total{why="most_vanished"} 4');
  });

  it('holds back when the service itself was away', async () => {
    const [agent, other] = (await add('agent', 'other')) as [Agent, Agent];
    await sweep();
    await room.clock.advance(600_000);
    await room.beat(other);
    expect(await sweep()).toMatchObject({ held: 'missed_rounds', offline: 0 });
    const results = await rounds(3, other);
    expect(results.map(({ offline }) => offline)).toEqual([0, 0, 1]);
    expect(await healthOf(agent)).toBe('offline');
  });

  it('passes each verdict once, however many believe that they lead', async () => {
    await add('a', 'b');
    await Promise.all([sweep(), sweep(), sweep()]);
    await rounds(3);
    await room.clock.advance(PERIOD);
    const both = await Promise.all([sweep(), sweep()]);
    expect(both.reduce((sum, { offline }) => sum + offline, 0)).toBe(2);
    expect(room.leases.released).toHaveLength(2);
  });

  it('sees an agent again whose sign of life is from the future', async () => {
    const [agent] = (await add('agent', 'b', 'c')) as [Agent];
    const future = new Date(room.clock.now() + 600_000);
    await room.agents.collection.updateOne({ name: 'agent' }, { $set: { lastSeenAt: future } });
    await sweep();
    const { lastSeenAt } = await room.service.get(ADMIN, agent.id);
    expect(Date.parse(lastSeenAt)).toBe(room.clock.now());
  });

  it('ends before a command when it no longer leads, and takes thousands in slices', async () => {
    const [one] = (await add('one')) as [Agent];
    const [document] = await room.agents.ofIds([one.id]);
    const many = Array.from({ length: 1_200 }, (_, index) => {
      const { _id, ...rest } = document ?? {};
      return { ...rest, name: `many-${index}` };
    });
    await room.database.connection.db?.collection('agents').insertMany(many);
    await sweep();
    await rounds(6);
    let commands = 0;
    const lost = {
      assertHeld: () => {
        commands += 1;
        if (commands > 7) throw new Error('lost');
      },
    };
    await room.clock.advance(PERIOD);
    await expect(room.sweep.sweep(NEVER, lost)).rejects.toThrow('lost');
    await expect(room.sweep.sweep(AbortSignal.abort(), HELD)).rejects.toThrow();
    expect(await room.agents.collection.countDocuments({ health: 'offline' })).toBe(500);
    const [rest] = await rounds(1);
    expect(rest?.offline).toBe(701);
    expect(await room.agents.collection.countDocuments({ health: 'offline' })).toBe(1_201);
  });
});
