// The event bus and what it is measured beside: each delivers events of `{ n }` to handlers that all do the same.
import { Effect, PubSub } from 'effect';
import EventEmitter2 from 'eventemitter2';
import { default as mitt } from 'mitt';
import { Subject, filter } from 'rxjs';

declare module '../../src/realtime/bus/event-map.ts' {
  interface EventMap {
    [type: `bench.${number}`]: Payload;
  }
}

export interface Payload {
  readonly n: number;
}

/** What every handler does with an event: it counts it. */
export class Count {
  handled = 0;
  sum = 0;

  add(n: number): void {
    this.handled += 1;
    this.sum += n;
  }
}

type Type = `bench.${number}`;

/** A subscriber: the type that it wants, and who counts what it gets. */
export type Wanted = readonly [type: Type, count: Count];

export interface Peer {
  publish(type: Type, payload: Payload): void;
  stop(): Promise<void>;
}

type Tagged = Payload & { readonly type: Type };

const stopped = (): Promise<void> => Promise.resolve();
const built = (file: string): string => new URL(`../../dist/${file}.js`, import.meta.url).href;

async function eventBus(wanted: readonly Wanted[]): Promise<Peer> {
  const { EventBus } = (await import(
    built('realtime/bus/event-bus')
  )) as typeof import('../../src/realtime/bus/event-bus.ts');
  const { SystemClock } = (await import(built('runtime/clock'))) as typeof import('../../src/runtime/clock.ts');
  const bus = new EventBus(new SystemClock(), { eventBufferSize: 1_000 });
  for (const [index, [type, count]] of wanted.entries()) {
    bus.subscribe(`subscriber ${index}`, [type], ({ payload }) => count.add(payload.n));
  }
  await bus.start();
  return {
    publish: (type, payload) => void bus.publish(type, payload),
    stop: async () => {
      await bus.stop(new AbortController().signal);
      const { dropped, handlerErrors } = bus.stats();
      if (dropped.total + handlerErrors > 0) throw new Error(`${dropped.total} dropped, ${handlerErrors} failed`);
    },
  };
}

/** One Subject, whose every subscriber gets everything. */
async function bareSubject(wanted: readonly Wanted[]): Promise<Peer> {
  const subject = new Subject<Payload>();
  for (const [, count] of wanted) subject.subscribe(({ n }) => count.add(n));
  return { publish: (_, payload) => subject.next(payload), stop: stopped };
}

async function filteredSubject(wanted: readonly Wanted[]): Promise<Peer> {
  const subject = new Subject<Tagged>();
  for (const [type, count] of wanted) {
    subject.pipe(filter((event) => event.type === type)).subscribe(({ n }) => count.add(n));
  }
  return { publish: (type, { n }) => subject.next({ type, n }), stop: stopped };
}

async function eventEmitter2(wanted: readonly Wanted[]): Promise<Peer> {
  const emitter = new EventEmitter2.EventEmitter2({ maxListeners: 0 });
  for (const [type, count] of wanted) emitter.on(type, ({ n }: Payload) => count.add(n));
  return { publish: (type, payload) => void emitter.emit(type, payload), stop: stopped };
}

async function mittEmitter(wanted: readonly Wanted[]): Promise<Peer> {
  // Its types are those of a CommonJS module, which it is not here.
  const emitter = (mitt as unknown as typeof mitt.default)<Record<Type, Payload>>();
  for (const [type, count] of wanted) emitter.on(type, ({ n }: Payload) => count.add(n));
  return { publish: (type, payload) => emitter.emit(type, payload), stop: stopped };
}

/** A sliding hub for each type, its subscribers fibers that take whatever there is, which is its fastest way. */
async function effectPubSub(wanted: readonly Wanted[]): Promise<Peer> {
  const hubs = new Map<string, PubSub.PubSub<Payload>>();
  for (const [type] of wanted) {
    if (!hubs.has(type)) hubs.set(type, await Effect.runPromise(PubSub.sliding<Payload>(1024)));
  }
  const fibers = wanted.map(([type, count]) =>
    Effect.runFork(
      Effect.scoped(
        Effect.gen(function* () {
          const hub = hubs.get(type);
          if (!hub) return;
          const subscription = yield* PubSub.subscribe(hub);
          for (;;) for (const payload of yield* PubSub.takeAll(subscription)) count.add(payload.n);
        }),
      ),
    ),
  );
  return {
    publish: (type, payload) => {
      const hub = hubs.get(type);
      if (hub && !PubSub.publishUnsafe(hub, payload)) throw new Error('the hub is full');
    },
    stop: async () => {
      for (const fiber of fibers) fiber.interruptUnsafe();
    },
  };
}

export const PEERS = {
  ours: eventBus,
  Subject: bareSubject,
  'Subject + filter': filteredSubject,
  EventEmitter2: eventEmitter2,
  mitt: mittEmitter,
  'Effect PubSub': effectPubSub,
} as const;

export type PeerName = keyof typeof PEERS;
