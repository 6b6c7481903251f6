import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  type LifeEvent,
  NOT_REGISTERED,
  type SessionSource,
  type SubsystemLife,
  instanceAt,
  instanceState,
  liveEndpoints,
  subsystemState,
  transition,
} from './subsystem-life.js';

const HEARTBEAT = 10_000;
const GRACE = 30_000;
const ENDPOINTS = ['http://10.0.0.1:8090', 'http://10.0.0.2:8090', 'http://10.0.0.3:8090'];

/** What is true of a session, told without its instance. */
interface ModelSession {
  readonly endpoint: string;
  readonly source: SessionSource;
  unanswered: number;
  pingedAt: number;
  silentSince: number | null;
}

const endpoint = fc.constantFrom(...ENDPOINTS);
const pick = fc.nat({ max: 7 });
const step = fc.oneof(
  fc.record({
    kind: fc.constant('open' as const),
    endpoint,
    isRest: fc.integer({ min: 0, max: 5 }).map((n) => n === 0),
  }),
  fc.record({ kind: fc.constantFrom('close' as const, 'ping' as const, 'pong' as const, 'late' as const), pick }),
  fc.record({ kind: fc.constant('reconnect' as const), pick, oldFirst: fc.boolean() }),
  fc.record({ kind: fc.constantFrom('reached' as const, 'not-reached' as const), endpoint }),
  fc.record({ kind: fc.constant('tick' as const), ms: fc.integer({ min: 1, max: 20_000 }) }),
  fc.record({ kind: fc.constant('marked-stale' as const) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

type SessionStep = Extract<Step, { pick: number }>;

/** The table beside a model of it, which knows sessions, and where somebody was reached. */
class Race {
  life: SubsystemLife = NOT_REGISTERED;
  private readonly sessions = new Map<number, ModelSession>();
  private readonly gone: number[] = [];
  private readonly reached = new Set<string>();
  /** When an endpoint last had a session that lives. */
  private readonly livedAt = new Map<string, number>();
  private at = 0;
  private lastId = 0;

  take(each: Step): void {
    const before = this.lives;
    this.act(each);
    for (const one of [...before, ...this.lives]) this.livedAt.set(one, this.at);
  }

  check(): void {
    const { lives } = this;
    const routed = lives.filter((one) => this.reached.has(one));
    expect(new Set(liveEndpoints(this.life))).toEqual(new Set(routed));
    expect(subsystemState(this.life)).toBe(routed.length > 0 ? 'connected' : lives.length > 0 ? 'connecting' : 'stale');
    const known = this.life.instances.flatMap(({ sessions }) => sessions.map(({ sessionId }) => sessionId));
    expect(known.toSorted((a, b) => a - b)).toEqual([...this.sessions.keys()]);
    for (const one of ENDPOINTS) {
      const instance = instanceAt(this.life, one);
      if (!instance) expect([this.sessionsAt(one), this.wasThere(one)]).toEqual([[], false]);
      else expect(instanceState(instance) === 'stale').toBe(!lives.includes(one));
    }
  }

  private act(each: Step): void {
    const { at } = this;
    switch (each.kind) {
      case 'open':
        return this.open(each.endpoint, each.isRest ? 'rest' : 'stream');
      case 'reached':
        if (this.sessionsAt(each.endpoint).length > 0) this.reached.add(each.endpoint);
        return this.send({ type: 'reached', endpoint: each.endpoint, at });
      case 'not-reached':
        this.reached.delete(each.endpoint);
        return this.send({ type: 'not-reached', endpoint: each.endpoint });
      case 'marked-stale':
        for (const session of this.sessions.values()) session.silentSince ??= at;
        return this.send({ type: 'marked-stale', at });
      case 'tick':
        return this.tick(each.ms);
      case 'late': {
        // What comes in for a session that is over.
        const sessionId = this.gone[each.pick % Math.max(1, this.gone.length)] ?? 999;
        this.send({ type: 'answered', sessionId, at, roundTripMs: 1 });
        this.send({ type: 'pinged', sessionId, at });
        return this.send({ type: 'closed', sessionId, at });
      }
      default:
        this.atSession(each);
    }
  }

  private atSession(each: SessionStep): void {
    const { at } = this;
    const [sessionId, session] = [...this.sessions][each.pick % Math.max(1, this.sessions.size)] ?? [];
    if (sessionId === undefined || !session) return;
    if (each.kind === 'close') this.close(sessionId);
    else if (each.kind === 'ping') {
      session.unanswered += 1;
      session.pingedAt = at;
      this.send({ type: 'pinged', sessionId, at });
    } else if (each.kind === 'pong') {
      session.unanswered = 0;
      session.silentSince = null;
      this.send({ type: 'answered', sessionId, at, roundTripMs: 1 });
    } else if (each.kind === 'reconnect') {
      // The end of the old stream may be heard of before or after the new one.
      if (each.oldFirst) this.close(sessionId);
      this.open(session.endpoint, session.source);
      if (!each.oldFirst) this.close(sessionId);
    }
  }

  private open(where: string, source: SessionSource): void {
    const { at } = this;
    if (this.sessionsAt(where).every(({ silentSince }) => silentSince !== null)) this.reached.delete(where);
    this.lastId += 1;
    this.sessions.set(this.lastId, { endpoint: where, source, unanswered: 0, pingedAt: at, silentSince: null });
    this.send({ type: 'opened', sessionId: this.lastId, source, endpoint: where, at });
  }

  private close(sessionId: number): void {
    this.forget(sessionId);
    this.send({ type: 'closed', sessionId, at: this.at });
  }

  private tick(ms: number): void {
    this.at += ms;
    const { at } = this;
    for (const [id, session] of this.sessions) {
      const { source, silentSince, unanswered, pingedAt } = session;
      if (source === 'stream' && silentSince !== null && at - silentSince > GRACE) this.forget(id);
      else if (unanswered >= 2 && at - pingedAt >= HEARTBEAT / 2) session.silentSince ??= at;
    }
    this.send({ type: 'checked', at, heartbeatMs: HEARTBEAT, graceMs: GRACE });
  }

  private forget(sessionId: number): void {
    const where = this.sessions.get(sessionId)?.endpoint ?? '';
    this.sessions.delete(sessionId);
    this.gone.push(sessionId);
    if (this.sessionsAt(where).length === 0) this.reached.delete(where);
  }

  private send(event: LifeEvent): void {
    this.life = transition(this.life, event);
  }

  private get lives(): string[] {
    return ENDPOINTS.filter((one) => this.sessionsAt(one).some(({ silentSince }) => silentSince === null));
  }

  /** Whether it must still be shown, because it lived within the grace period. */
  private wasThere(where: string): boolean {
    const livedAt = this.livedAt.get(where);
    return livedAt !== undefined && this.at - livedAt <= GRACE;
  }

  private sessionsAt(where: string): ModelSession[] {
    return [...this.sessions.values()].filter((session) => session.endpoint === where);
  }
}

describe('races of sessions', () => {
  it('lose no registration, keep none that is silent, and route to nobody who was not reached', () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 10, maxLength: 80 }), (steps) => {
        const race = new Race();
        for (const each of steps) {
          race.take(each);
          race.check();
        }
      }),
      { numRuns: 1_000 },
    );
  });
});
