import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type LifeEvent,
  NOT_REGISTERED,
  type SubsystemLife,
  instanceState,
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
const reached = (endpoint = A): LifeEvent => ({ type: 'reached', endpoint });
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

/** What each session is for the model: open, and how many pings of it are unanswered. */
interface ModelSession {
  readonly endpoint: string;
  unanswered: number;
  pingedAt: number;
  silent: boolean;
}

type Step =
  | { kind: 'open'; endpoint: string }
  | { kind: 'close' | 'ping' | 'pong' | 'reconnect'; pick: number; oldFirst: boolean }
  | { kind: 'tick'; ms: number };

const endpoint = fc.constantFrom(A, B, 'http://10.0.0.3:8090');
const pick = fc.nat({ max: 5 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant('open' as const), endpoint }),
  fc.record({
    kind: fc.constantFrom('close' as const, 'ping' as const, 'pong' as const, 'reconnect' as const),
    pick,
    oldFirst: fc.boolean(),
  }),
  fc.record({ kind: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
);

describe('races of sessions', () => {
  it('never lose a registration, and never call stale what answers', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 60 }), (steps) => {
        const sessions = new Map<number, ModelSession>();
        let life = NOT_REGISTERED;
        let at = 0;
        let lastId = 0;
        const send = (event: LifeEvent): void => void (life = transition(life, event));
        const open = (where: string): void => {
          lastId += 1;
          sessions.set(lastId, { endpoint: where, unanswered: 0, pingedAt: at, silent: false });
          send(opened(lastId, where, at));
        };
        const close = (id: number): void => {
          sessions.delete(id);
          send(closed(id, at));
        };
        const picked = (n: number): [number, ModelSession] | undefined => [...sessions][n % Math.max(1, sessions.size)];
        for (const each of steps) {
          if (each.kind === 'open') open(each.endpoint);
          else if (each.kind === 'tick') {
            at += each.ms;
            for (const session of sessions.values()) {
              if (session.unanswered >= 2 && at - session.pingedAt >= HEARTBEAT / 2) session.silent = true;
            }
            send(checked(at));
            // Sessions of an instance that was given up are told to end.
            const kept = new Set(life.instances.map((instance) => instance.endpoint));
            for (const [id, session] of sessions) if (!kept.has(session.endpoint)) sessions.delete(id);
          } else {
            const found = picked(each.pick);
            if (!found) continue;
            const [id, session] = found;
            if (each.kind === 'close') close(id);
            else if (each.kind === 'ping') {
              session.unanswered += 1;
              session.pingedAt = at;
              send(pinged(id, at));
            } else if (each.kind === 'pong') {
              session.unanswered = 0;
              session.silent = false;
              send(answered(id, at));
            } else {
              // The end of the old stream may be heard of before or after the new one.
              if (each.oldFirst) close(id);
              open(session.endpoint);
              if (!each.oldFirst) close(id);
            }
          }
          for (const instance of life.instances) if (instance.deadSince === null) send(reached(instance.endpoint));

          const lives = new Set([...sessions.values()].filter(({ silent }) => !silent).map((one) => one.endpoint));
          expect(new Set(liveEndpoints(life))).toEqual(lives);
          expect(subsystemState(life)).toBe(lives.size > 0 ? 'connected' : 'stale');
          const known = life.instances.flatMap((instance) => instance.sessions.map(({ sessionId }) => sessionId));
          expect(new Set(known)).toEqual(new Set(sessions.keys()));
          for (const instance of life.instances) {
            expect(instanceState(instance) === 'stale').toBe(instance.deadSince !== null);
          }
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
