import type { ServerResponse } from 'node:http';
import type { Principal } from '../../../auth/principal.js';
import type { Clock } from '../../../runtime/clock.js';
import type { ChannelRegistry } from '../channels/channel-registry.js';
import type { EventOrder } from '../channels/event-order.js';
import type { SessionContext } from './session-context.js';
import { SessionRegistry } from './session-registry.js';
import { SseSession } from './sse-session.js';
import type { Resumption } from '../channels/stream-publisher.js';
import type { StreamStats } from '../stream-stats.js';
import type { ResolvedTopic } from '../stream-topics.js';
import type { SlicedWork, TurnQueue } from './turn-queue.js';

export interface NewSession {
  /** Its head is written. */
  readonly response: ServerResponse;
  readonly principal: Principal;
  readonly topics: readonly ResolvedTopic[];
  readonly maxAgeMs: number;
  readonly durationMs?: number;
  readonly connection?: string;
  readonly onStarted?: (() => void) | undefined;
  readonly onClosed?: (() => void) | undefined;
}

export type KeeperOptions = Omit<SessionContext, 'sequence' | 'later'> & {
  readonly order: EventOrder;
  readonly turns: TurnQueue;
};

/** Begins sessions, looks after them once a second, and forgets those that are over. */
export class SessionKeeper {
  readonly registry = new SessionRegistry();
  private readonly context: SessionContext;

  constructor(
    private readonly clock: Clock,
    private readonly channels: ChannelRegistry,
    private readonly options: KeeperOptions,
  ) {
    this.context = {
      ...options,
      sequence: () => options.order.newest,
      later: (session) => options.turns.add(once(() => session.pump())),
    };
  }

  begin({ response, principal, topics, ...options }: NewSession, resumption: Resumption | undefined): void {
    const { maxAgeMs, durationMs, connection, onStarted, onClosed } = options;
    const channels = topics.map((topic) => this.channels.warm(topic, principal.tenantId));
    const ended = (): void => {
      timer?.cancel();
      this.forget(session);
      onClosed?.();
    };
    const session = new SseSession(
      response,
      principal,
      channels,
      { maxAgeMs, onStarted, onClosed: ended },
      this.context,
    );
    const timer = durationMs === undefined ? undefined : this.clock.after(durationMs, () => session.end());
    this.registry.add(session, connection);
    for (const reader of session.readers) this.channels.enter(reader.channel, reader);
    if (resumption) {
      this.options.totals.resumed += 1;
      this.options.totals.replayed += resumption.missed;
      session.resume(resumption.sequence);
    } else session.join();
  }

  /** Cuts the session of the connection, if there is one. */
  cut(connection: string): void {
    this.registry.onConnection(connection)?.destroy();
  }

  tick(): void {
    this.options.turns.add(this.ticking());
  }

  stats(): Pick<StreamStats, 'sessions' | 'sessionsByTopic' | 'queuedEvents'> {
    let queuedEvents = 0;
    const sessionsByTopic: Record<string, number> = {};
    for (const session of this.registry.all()) {
      queuedEvents += session.queuedEvents;
      for (const prefix of new Set(session.readers.map(({ channel }) => channel.topic.prefix))) {
        sessionsByTopic[prefix] = (sessionsByTopic[prefix] ?? 0) + 1;
      }
    }
    return { sessions: this.registry.size, sessionsByTopic, queuedEvents };
  }

  private *ticking(): Generator<void> {
    const { encoder, order } = this.options;
    let sequence = -1;
    let frame: Buffer = Buffer.alloc(0);
    const heartbeat = (): Buffer => {
      if (sequence !== order.newest) {
        sequence = order.newest;
        frame = encoder.control(sequence, 'heartbeat', { time: new Date(this.clock.now()).toISOString() });
      }
      return frame;
    };
    for (const session of this.registry.all()) {
      session.tick(heartbeat);
      yield;
    }
  }

  private forget(session: SseSession): void {
    for (const reader of session.readers) this.channels.leave(reader.channel, reader);
    this.registry.remove(session);
  }
}

function once(work: () => void): SlicedWork {
  return {
    next: () => {
      work();
      return { done: true, value: undefined };
    },
  };
}
