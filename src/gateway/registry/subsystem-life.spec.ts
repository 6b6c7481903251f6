import { describe, expect, it } from '@jest/globals';
import {
  type LifeEvent,
  NOT_REGISTERED,
  type SubsystemLife,
  liveEndpoints,
  subsystemState,
  transition,
} from './subsystem-life.js';

const HEARTBEAT = 10_000;
const GRACE = 30_000;
const A = 'http://10.0.0.1:8090';
const B = 'http://10.0.0.2:8090';

const apply = (events: readonly LifeEvent[], from = NOT_REGISTERED): SubsystemLife =>
  events.reduce((life, event) => transition(life, event), from);
const opened = (sessionId: number, endpoint = A, at = 0): LifeEvent => ({
  type: 'opened',
  sessionId,
  source: 'stream',
  endpoint,
  at,
});
const reached = (endpoint = A, at = 0): LifeEvent => ({ type: 'reached', endpoint, at });
const pinged = (sessionId: number, at: number): LifeEvent => ({ type: 'pinged', sessionId, at });
const answered = (sessionId: number, at: number): LifeEvent => ({ type: 'answered', sessionId, at, roundTripMs: 1 });
const closed = (sessionId: number, at: number): LifeEvent => ({ type: 'closed', sessionId, at });
const checked = (at: number): LifeEvent => ({ type: 'checked', at, heartbeatMs: HEARTBEAT, graceMs: GRACE });

describe('the life of a subsystem', () => {
  it('is connected once its endpoint was reached', () => {
    const life = apply([opened(1)]);
    expect([subsystemState(life), liveEndpoints(life)]).toEqual(['connecting', []]);
    expect(liveEndpoints(apply([reached()], life))).toEqual([A]);
  });

  it('is stale half a heartbeat after the second ping without an answer, and connected again by one', () => {
    const silent = apply([opened(1), reached(), pinged(1, 10_000), pinged(1, 20_000), checked(24_999)]);
    expect(subsystemState(silent)).toBe('connected');
    const stale = apply([checked(25_000)], silent);
    expect(subsystemState(stale)).toBe('stale');
    expect(subsystemState(apply([answered(1, 50_000), checked(50_000)], stale))).toBe('connected');
  });

  it('does not take a standstill of the service for the silence of the subsystem', () => {
    const life = apply([opened(1), reached(), pinged(1, 10_000), checked(500_000)]);
    expect(subsystemState(life)).toBe('connected');
  });

  it('ends when it was stale for longer than the grace period', () => {
    const stale = apply([opened(1), reached(), closed(1, 5_000)]);
    expect(subsystemState(stale)).toBe('stale');
    expect(apply([checked(35_000)], stale).instances).toHaveLength(1);
    expect(apply([checked(35_001)], stale)).toEqual(NOT_REGISTERED);
  });

  it('has to be reached again after it was without a session, but not when sessions overlap', () => {
    const gap = apply([opened(1), reached(), closed(1, 1), opened(2, A, 2)]);
    expect(subsystemState(gap)).toBe('connecting');
    const overlap = apply([opened(1), reached(), opened(2, A, 1), closed(1, 2)]);
    expect(subsystemState(overlap)).toBe('connected');
  });

  it('lives while one instance lives: a rolling restart is never stale', () => {
    const states: string[] = [];
    let life = NOT_REGISTERED;
    const steps = [
      opened(1),
      reached(),
      opened(2, B, 1),
      reached(B),
      closed(1, 2),
      opened(3, A, 3),
      reached(),
      closed(2, 4),
    ];
    for (const event of [...steps, opened(4, B, 5), reached(B)]) {
      life = transition(life, event);
      states.push(subsystemState(life));
    }
    expect(states.slice(1)).toEqual(Array.from({ length: steps.length + 1 }, () => 'connected'));
    expect(liveEndpoints(life)).toEqual([A, B]);
  });

  it('loses a session that is silent for longer than the grace period, and lives on through its neighbour', () => {
    const both = [opened(1), opened(2), reached(), pinged(1, 10_000), pinged(1, 20_000), checked(25_000)];
    const sessions = (life: SubsystemLife) => life.instances[0]?.sessions.map(({ sessionId }) => sessionId);
    const within = apply([...both, checked(55_000)]);
    expect([sessions(within), subsystemState(within)]).toEqual([[1, 2], 'connected']);
    const after = apply([checked(55_001)], within);
    expect([sessions(after), subsystemState(after)]).toEqual([[2], 'connected']);
    expect(sessions(apply([answered(1, 40_000), checked(55_001)], apply(both)))).toEqual([1, 2]);
  });

  it('is not asked at an endpoint where nobody was reached, until somebody is', () => {
    const lost = apply([opened(1), opened(2, B), reached(), reached(B), { type: 'not-reached', endpoint: A }]);
    expect([subsystemState(lost), liveEndpoints(lost)]).toEqual(['connected', [B]]);
    const both = apply([{ type: 'not-reached', endpoint: B }, answered(1, 9), answered(2, 9)], lost);
    expect([subsystemState(both), liveEndpoints(both)]).toEqual(['connecting', []]);
    expect(liveEndpoints(apply([reached()], both))).toEqual([A]);
  });

  it('that a person registered stays stale, and never ends by itself', () => {
    const rest: LifeEvent = { ...(opened(1) as LifeEvent & { type: 'opened' }), source: 'rest' };
    const life = apply([rest, pinged(1, 10_000), pinged(1, 20_000), checked(25_000), checked(9_999_999)]);
    expect([subsystemState(life), life.instances.length]).toEqual(['stale', 1]);
  });

  it('is stale when somebody says so, until its next answer', () => {
    const marked = apply([opened(1), opened(2, B), reached(), reached(B), { type: 'marked-stale', at: 1 }, checked(2)]);
    expect(subsystemState(marked)).toBe('stale');
    expect(liveEndpoints(apply([answered(2, 3)], marked))).toEqual([B]);
  });
});
