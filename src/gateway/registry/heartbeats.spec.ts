import { describe, expect, it } from '@jest/globals';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { type Heartbeat, Heartbeats } from './heartbeats.js';

const H = 10_000;

function setUp() {
  const clock = new FakeClock();
  const heartbeats = new Heartbeats(H, clock);
  const join = () => {
    const stream = { heard: [] as Heartbeat[], beat: (heartbeat: Heartbeat) => void stream.heard.push(heartbeat) };
    heartbeats.add(stream);
    return stream;
  };
  return { clock, heartbeats, join };
}

describe('Heartbeats', () => {
  it('pings each once in a heartbeat, with one timer for all', async () => {
    const { clock, join } = setUp();
    const streams = [];
    for (let n = 0; n < 100; n += 1) {
      streams.push(join());
      await clock.advance(H / 100);
    }
    expect(clock.pendingTimers).toBe(1);
    await clock.advance(10 * H - 1);
    for (const { heard } of streams) {
      const times = heard.map(({ sentAt }) => sentAt);
      expect([10, 11]).toContain(times.length);
      for (const [index, at] of times.slice(1).entries()) {
        expect(at - (times[index] ?? 0)).toBeGreaterThanOrEqual(H * 0.975);
        expect(at - (times[index] ?? 0)).toBeLessThanOrEqual(H);
      }
    }
  });

  it('pings those that are due at about the same time together, with one message', async () => {
    const { clock, join } = setUp();
    const first = join();
    await clock.advance(200);
    const [second, later] = [join(), (await clock.advance(100), join())];
    await clock.advance(H - 300);
    expect([first, second, later].map(({ heard }) => heard.length)).toEqual([1, 1, 0]);
    expect(second.heard[0]).toBe(first.heard[0]);
    expect(first.heard[0]).toMatchObject({ sentAt: H, millis: clock.now(), ping: { msg: { case: 'ping' } } });
    await clock.advance(300);
    expect(later.heard).toHaveLength(1);
  });

  it('forgets who has left, also while it pings, and needs no timer for nobody', async () => {
    const { clock, heartbeats, join } = setUp();
    const [leaving, staying] = [join(), join()];
    leaving.beat = (heartbeat) => {
      leaving.heard.push(heartbeat);
      heartbeats.remove(leaving);
    };
    await clock.advance(3 * H);
    expect([leaving.heard.length, staying.heard.length]).toEqual([1, 3]);
    heartbeats.remove(staying);
    expect(clock.pendingTimers).toBe(0);
    staying.beat = (heartbeat) => {
      staying.heard.push(heartbeat);
      heartbeats.remove(staying);
    };
    heartbeats.add(staying);
    await clock.advance(H);
    expect([staying.heard.length, clock.pendingTimers]).toEqual([4, 0]);
  });
});
