import type { SubsystemState } from './subsystem-directory.js';

/** `stream`: a registration stream. `rest`: registered by a person, kept alive by calls of ours. */
export type SessionSource = 'stream' | 'rest';

/** One way in which an instance shows that it lives. Times are of the monotonic clock. */
export interface SessionLife {
  readonly sessionId: number;
  readonly source: SessionSource;
  /** Pings since the last answer. */
  readonly unanswered: number;
  readonly pingedAt: number;
  /** Since when it has missed two pings, or was marked so: it counts as dead until its next answer. */
  readonly silentSince: number | null;
}

/** One address of a subsystem: the same endpoint again is a session more, another endpoint another instance. */
export interface InstanceLife {
  readonly endpoint: string;
  readonly sessions: readonly SessionLife[];
  /** The last sign of life: an answer to a ping, or a session that was opened. */
  readonly lastBeatAt: number;
  readonly roundTripMs: number | null;
  /** The last call-back that succeeded; null before the first, and since one that found nobody or a return from death. */
  readonly reachedAt: number | null;
  /** Since when no session of it lives; null while one does. */
  readonly deadSince: number | null;
}

/** Instances in the order in which they came. */
export interface SubsystemLife {
  readonly instances: readonly InstanceLife[];
}

export type LifeEvent =
  | { readonly type: 'opened'; sessionId: number; source: SessionSource; endpoint: string; at: number }
  | { readonly type: 'pinged'; sessionId: number; at: number }
  | { readonly type: 'answered'; sessionId: number; at: number; roundTripMs: number }
  | { readonly type: 'closed'; sessionId: number; at: number }
  | { readonly type: 'reached'; endpoint: string; at: number }
  | { readonly type: 'not-reached'; endpoint: string }
  | { readonly type: 'marked-stale'; at: number }
  | { readonly type: 'checked'; at: number; heartbeatMs: number; graceMs: number };

type EventOf<T extends LifeEvent['type']> = Extract<LifeEvent, { readonly type: T }>;

/** Pings without an answer after which a session counts as dead. */
const MISSED_PINGS = 2;

export const NOT_REGISTERED: SubsystemLife = { instances: [] };

/** What follows from what: the one table of the life of a subsystem. */
const TRANSITIONS: { readonly [T in LifeEvent['type']]: (life: SubsystemLife, event: EventOf<T>) => SubsystemLife } = {
  opened: (life, { sessionId, source, endpoint, at }) => {
    const session: SessionLife = { sessionId, source, unanswered: 0, pingedAt: at, silentSince: null };
    if (!life.instances.some((instance) => instance.endpoint === endpoint)) {
      const first = { endpoint, sessions: [session], lastBeatAt: at, roundTripMs: null };
      return { instances: [...life.instances, { ...first, reachedAt: null, deadSince: null }] };
    }
    return mapInstances(life, (instance) =>
      instance.endpoint === endpoint
        ? {
            ...instance,
            sessions: [...instance.sessions, session],
            lastBeatAt: at,
            // Without a live session it may have been restarted, and may not listen yet.
            reachedAt: instance.deadSince === null ? instance.reachedAt : null,
            deadSince: null,
          }
        : instance,
    );
  },
  pinged: (life, { sessionId, at }) =>
    mapInstances(life, (instance) =>
      changeSession(instance, sessionId, at, (session) => ({
        ...session,
        unanswered: session.unanswered + 1,
        pingedAt: at,
      })),
    ),
  answered: (life, { sessionId, at, roundTripMs }) =>
    mapInstances(life, (instance) =>
      holds(instance, sessionId)
        ? {
            ...changeSession(instance, sessionId, at, (session) => ({ ...session, unanswered: 0, silentSince: null })),
            lastBeatAt: at,
            roundTripMs,
          }
        : instance,
    ),
  closed: (life, { sessionId, at }) =>
    mapInstances(life, (instance) => changeSession(instance, sessionId, at, () => undefined)),
  reached: (life, { endpoint, at }) =>
    mapInstances(life, (instance) => (instance.endpoint === endpoint ? { ...instance, reachedAt: at } : instance)),
  'not-reached': (life, { endpoint }) =>
    mapInstances(life, (instance) => (instance.endpoint === endpoint ? { ...instance, reachedAt: null } : instance)),
  'marked-stale': (life, { at }) =>
    mapInstances(life, (instance) =>
      withSessions(
        instance,
        instance.sessions.map((session) => silenced(session, at)),
        at,
      ),
    ),
  checked: (life, { at, heartbeatMs, graceMs }) => {
    const isNews = (instance: InstanceLife): boolean =>
      isOver(instance, at, graceMs) ||
      instance.sessions.some(
        (session) => isForgotten(session, at, graceMs) || isFallingSilent(session, at, heartbeatMs),
      );
    // Nearly always: a thousand of them are looked at in one go.
    if (!life.instances.some(isNews)) return life;
    const looked = mapInstances(life, (instance) =>
      withSessions(
        instance,
        instance.sessions
          .filter((session) => !isForgotten(session, at, graceMs))
          .map((session) => (isFallingSilent(session, at, heartbeatMs) ? silenced(session, at) : session)),
        at,
      ),
    );
    return { instances: looked.instances.filter((instance) => !isOver(instance, at, graceMs)) };
  },
};

/** Events of sessions and instances that are not there change nothing. */
export function transition<T extends LifeEvent['type']>(life: SubsystemLife, event: EventOf<T>): SubsystemLife {
  const next: (life: SubsystemLife, event: EventOf<T>) => SubsystemLife = TRANSITIONS[event.type as T];
  return next(life, event);
}

export function instanceAt({ instances }: SubsystemLife, endpoint: string): InstanceLife | undefined {
  return instances.find((instance) => instance.endpoint === endpoint);
}

export function instanceState({ reachedAt, deadSince }: InstanceLife): SubsystemState {
  if (deadSince !== null) return 'stale';
  return reachedAt === null ? 'connecting' : 'connected';
}

/** Its best instance decides. Without any it is not registered; then `stale`, which nobody sees. */
export function subsystemState({ instances }: SubsystemLife): SubsystemState {
  let best: SubsystemState = 'stale';
  for (const instance of instances) {
    const state = instanceState(instance);
    if (state === 'connected') return state;
    if (state === 'connecting') best = state;
  }
  return best;
}

/** Where calls may go, in the order in which the instances came. */
export function liveEndpoints({ instances }: SubsystemLife): string[] {
  return instances.filter((instance) => instanceState(instance) === 'connected').map(({ endpoint }) => endpoint);
}

/** Whether others see no difference: they are not told of pings and answers. */
export function hasSameShape({ instances }: SubsystemLife, { instances: others }: SubsystemLife): boolean {
  return (
    instances.length === others.length &&
    instances.every((instance, index) => {
      const other = others[index];
      return (
        other !== undefined &&
        instance.endpoint === other.endpoint &&
        instanceState(instance) === instanceState(other) &&
        instance.sessions.length === other.sessions.length
      );
    })
  );
}

/**
 * Counted in pings and not only in time: after the service itself has stood still, nobody has had a chance to answer.
 * The last of them has half a heartbeat to be answered.
 */
function isFallingSilent({ silentSince, unanswered, pingedAt }: SessionLife, at: number, heartbeatMs: number): boolean {
  return silentSince === null && unanswered >= MISSED_PINGS && at - pingedAt >= heartbeatMs / 2;
}

function silenced(session: SessionLife, at: number): SessionLife {
  return { ...session, silentSince: session.silentSince ?? at };
}

/** A stream that is half-open, or whose program hangs: nobody will end it, however well its neighbours live. */
function isForgotten({ source, silentSince }: SessionLife, at: number, graceMs: number): boolean {
  return source === 'stream' && silentSince !== null && at - silentSince > graceMs;
}

/** What a person has registered stays until a person removes it. */
function isOver({ deadSince, sessions }: InstanceLife, at: number, graceMs: number): boolean {
  return deadSince !== null && at - deadSince > graceMs && !sessions.some(({ source }) => source === 'rest');
}

function mapInstances(life: SubsystemLife, change: (instance: InstanceLife) => InstanceLife): SubsystemLife {
  return { instances: life.instances.map(change) };
}

function holds({ sessions }: InstanceLife, sessionId: number): boolean {
  return sessions.some((session) => session.sessionId === sessionId);
}

/** undefined removes it. */
function changeSession(
  instance: InstanceLife,
  sessionId: number,
  at: number,
  change: (session: SessionLife) => SessionLife | undefined,
): InstanceLife {
  if (!holds(instance, sessionId)) return instance;
  const sessions = instance.sessions.flatMap((session) =>
    session.sessionId === sessionId ? (change(session) ?? []) : session,
  );
  return withSessions(instance, sessions, at);
}

function withSessions(instance: InstanceLife, sessions: readonly SessionLife[], at: number): InstanceLife {
  const lives = sessions.some(({ silentSince }) => silentSince === null);
  return {
    ...instance,
    sessions,
    deadSince: lives ? null : (instance.deadSince ?? at),
  };
}
