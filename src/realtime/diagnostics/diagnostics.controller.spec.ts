import { describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { ALL_TENANTS, type Principal } from '../../auth/principal.js';
import { EventBus } from '../bus/event-bus.js';
import type { EventMap, EventType } from '../bus/event-map.js';
import { DiagnosticsController } from './diagnostics.controller.js';
import { recentEvents, recentEventsQuery, subscriptions } from './diagnostics.dto.js';

const adminOf = (tenantId: string): Principal => ({ kind: 'user', id: 'ops', role: 'admin', tenantId });

function setup() {
  const clock = new FakeClock();
  const bus = new EventBus(clock, { eventBufferSize: 10, eventHistorySize: 100 });
  const controller = new DiagnosticsController(bus);
  // Events of the rooms above, which this room does not know.
  const publish = (type: string, payload: unknown, coalesceKey?: string): void =>
    void bus.publish(
      type as EventType,
      payload as EventMap[EventType],
      coalesceKey === undefined ? {} : { coalesceKey },
    );
  const ask = (query: Record<string, unknown> = {}, tenantId = ALL_TENANTS) =>
    recentEvents.parse(controller.events(recentEventsQuery.parse(query), adminOf(tenantId)));
  return { clock, bus, controller, publish, ask };
}

describe('recent events', () => {
  it('come newest first, by type and since, page by page', async () => {
    const { clock, publish, ask } = setup();
    publish('a', { n: 1 }, 'key');
    publish('b', { n: 2 });
    await clock.advance(1_000);
    const since = new Date(clock.now()).toISOString();
    publish('a', { n: 3 });
    publish('a', { n: 4 });
    expect(ask().items.map(({ sequence }) => sequence)).toEqual([4, 3, 2, 1]);
    expect(ask({ type: 'a' }).items.map(({ payload }) => payload)).toEqual([{ n: 4 }, { n: 3 }, { n: 1 }]);
    expect(ask({ since }).items.map(({ sequence }) => sequence)).toEqual([4, 3]);
    expect(ask({ type: ['b'] }).items).toEqual([
      { sequence: 2, type: 'b', timestamp: '2026-01-01T00:00:00.000Z', coalesceKey: null, payload: { n: 2 } },
    ]);
    const first = ask({ limit: '3' });
    expect(first.items).toHaveLength(3);
    const rest = ask({ limit: '3', cursor: first.nextCursor });
    expect(rest).toMatchObject({ items: [{ sequence: 1, coalesceKey: 'key' }], nextCursor: null });
  });

  it('are shown to a tenant only where they name it', () => {
    const { publish, ask } = setup();
    publish('direct', { tenantId: 'team-a' });
    publish('about one thing', { resource: { tenantId: 'team-a' } });
    publish('of another', { resource: { tenantId: 'team-b' } });
    publish('of nobody', { at: 'now' });
    publish('ambiguous', { from: { tenantId: 'team-a' }, to: { tenantId: 'team-b' } });
    expect(ask({}, 'team-a').items.map(({ type }) => type)).toEqual(['about one thing', 'direct']);
    expect(ask().items).toHaveLength(5);
  });

  it.each([[{ since: 'yesterday' }], [{ limit: '0' }], [{ cursor: 'x' }], [{ unknown: '1' }]])('refuse %j', (query) => {
    expect(recentEventsQuery.safeParse(query).success).toBe(false);
  });
});

describe('subscriptions', () => {
  it('tell what waits, what was lost, and how', async () => {
    const { bus, controller, publish } = setup();
    await bus.start();
    bus.subscribe('stuck', ['service.started'], () => new Promise<void>(() => undefined), {
      bufferSize: 1,
      overflow: 'drop-newest',
      lossy: true,
    });
    publish('service.started', {});
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
    for (let n = 0; n < 3; n += 1) publish('service.started', {});
    const answer = subscriptions.parse(controller.subscriptions());
    expect(answer).toMatchObject({
      items: [
        { name: 'stuck', types: ['service.started'], lossy: true, bufferSize: 1, depth: 1, dropped: 2, handled: 1 },
      ],
      dropped: { critical: 0, observability: 2, total: 2 },
      paused: false,
    });
  });
});
