import './quiet-logger.js';
import { EventBus } from '../../src/realtime/bus/event-bus.js';
import { FakeClock } from './fake-clock.js';
import { FakeLeadership } from './fake-leadership.js';

declare module '../../src/realtime/bus/event-map.js' {
  interface EventMap {
    'spec.fact': { readonly n: number };
    'spec.state': { readonly n: number };
  }
}

export const NEVER = new AbortController().signal;

interface Limits {
  readonly eventBufferSize?: number;
  readonly eventRetainedKeys?: number;
  readonly eventHistorySize?: number;
}

/** A bus with its clock and leadership in the test's hands. Not started. */
export function makeBusRoom(limits: Limits = {}) {
  const clock = new FakeClock();
  const leadership = new FakeLeadership();
  const bus = new EventBus(clock, { eventBufferSize: 1_000, ...limits }, leadership);
  return { clock, leadership, bus };
}

export async function startedBusRoom(limits: Limits = {}) {
  const room = makeBusRoom(limits);
  await room.bus.start();
  return room;
}

/** A handler that holds each event until it is released. */
export class HeldHandler {
  /** The `n` of each event, when it was given to the handler. */
  readonly seen: number[] = [];
  private gate: PromiseWithResolvers<void> | undefined;

  readonly handle = ({ payload }: { readonly payload: { readonly n: number } }): Promise<void> => {
    this.seen.push(payload.n);
    this.gate = Promise.withResolvers();
    return this.gate.promise;
  };

  get holds(): boolean {
    return this.gate !== undefined;
  }

  release(): void {
    const { gate } = this;
    this.gate = undefined;
    gate?.resolve();
  }
}
