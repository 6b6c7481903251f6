import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { settle } from '../../../test/support/fake-clock.js';
import { type JobRoom, PLATFORM_AGENT, hexOf, openJobRoom } from '../../../test/support/job-room.js';
import { ADMIN } from '../../../test/support/tenant-room.js';
import type { Agent, AgentStatus } from '../../agents/agent.js';
import { AgentClaims } from './agent-claims.js';
import type { AgentIdentity } from '../agent-directory.js';

const WAIT_MS = 30_000;
const GONE = { code: 'auth.required', status: 401 };

let room: JobRoom;
let known: AgentIdentity | null;
let claims: AgentClaims;
let left: AbortController;

beforeAll(async () => {
  room = await openJobRoom();
  const agents = { find: () => Promise.resolve(known) };
  claims = new AgentClaims(room.dispatcher, room.leases, agents, room.bus, room.clock);
});
afterAll(() => room.close());
beforeEach(async () => {
  known = PLATFORM_AGENT;
  left = new AbortController();
  await room.clear();
});

const claim = (claimId: string) =>
  claims.claim(PLATFORM_AGENT.id, { capacity: 5, labels: {}, waitMs: WAIT_MS, claimId }, left.signal);

describe('the claim of an agent that waits', () => {
  it('is refused at once when the agent is revoked or removed, and gets no job', async () => {
    for (const change of ['revoked', 'removed'] as const) {
      const waiting = claim(change);
      await parked();
      known = null;
      tell(change, change === 'revoked' ? 'revoked' : 'active');
      await expect(waiting).rejects.toMatchObject(GONE);
      await room.add();
      await settle();
      expect(await states()).toEqual(['queued']);
      await room.clear();
      known = PLATFORM_AGENT;
    }
    expect(room.clock.pendingTimers).toBe(0);
  });

  it('is ended empty when the agent is drained; what is told of others does not touch it', async () => {
    const waiting = claim('drained');
    await parked();
    tell('updated', 'active', { id: 'f'.repeat(24), schedulable: false });
    tell('online');
    await settle();
    expect(room.dispatcher.parkedClaims).toBe(1);
    tell('updated', 'active', { schedulable: false });
    expect(await waiting).toEqual([]);
  });

  it('gives jobs back that it gets after another replica has revoked the agent', async () => {
    const waiting = claim('elsewhere');
    await parked();
    await room.clock.advance(2_000);
    known = null;
    const [job] = await room.add();
    await expect(waiting).rejects.toMatchObject(GONE);
    expect(await room.service.get(ADMIN, hexOf(job))).toMatchObject({
      state: 'queued',
      reason: 'agent_removed',
      history: [{ event: 'enqueue' }, { event: 'claim' }, { event: 'release' }],
    });
  });

  it('gets its jobs while the agent is there', async () => {
    const waiting = claim('there');
    await parked();
    await room.clock.advance(2_000);
    const [job] = await room.add();
    expect((await waiting).map(({ id }) => id)).toEqual([hexOf(job)]);
  });
});

it('refuses the claim of an agent that was revoked after it had shown its credential', async () => {
  known = null;
  await room.add();
  await expect(claim('late')).rejects.toMatchObject(GONE);
  expect(await states()).toEqual(['queued']);
});

function tell(change: 'revoked' | 'removed' | 'updated' | 'online', status: AgentStatus = 'active', more = {}): void {
  const { id, tenantId, labels } = PLATFORM_AGENT;
  const at = new Date(room.clock.now()).toISOString();
  const agent: Agent = {
    id,
    tenantId,
    labels,
    name: 'waiting',
    status,
    schedulable: true,
    health: 'online',
    healthSince: at,
    lastSeenAt: at,
    load: null,
    agentVersion: null,
    credentials: [],
    version: 2,
    createdAt: at,
    updatedAt: at,
    createdBy: 'ada',
    ...more,
  };
  room.bus.publish('agent.changed', { agent, change });
}

/** Resolves when a claim waits and its first look is over. */
async function parked(): Promise<void> {
  for (const deadline = performance.now() + 4_000; performance.now() < deadline;) {
    if (room.dispatcher.parkedClaims === 1) return;
    await settle(1);
  }
  throw new Error('the claim was not parked');
}

async function states(): Promise<string[]> {
  return (await room.collection.documents.find().toArray()).map(({ state }) => state);
}
