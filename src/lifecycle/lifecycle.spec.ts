import { beforeEach, describe, expect, it } from '@jest/globals';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import type { Runnable } from '../runtime/runnable.js';
import { StopReason } from '../runtime/stop-reason.js';
import { LifecycleRegistry } from './lifecycle-registry.js';
import { Lifecycle } from './lifecycle.js';
import { PHASES, type Phase } from './phases.js';
import { Readiness } from './readiness.js';

const CONFIG = { shutdownTimeoutMs: 25_000, drainDelayMs: 0, cutGraceMs: 250 };

function setup(config = CONFIG) {
  const clock = new FakeClock();
  const registry = new LifecycleRegistry();
  const readiness = new Readiness();
  const lifecycle = new Lifecycle(registry, readiness, clock, config);
  const journal: string[] = [];
  const register = (phase: Phase, overrides: Partial<Runnable> = {}): void => {
    registry.register(phase, {
      name: 'it',
      start: async () => void journal.push(`start ${phase}`),
      stop: async () => void journal.push(`stop ${phase}`),
      ...overrides,
    });
  };
  return { clock, readiness, lifecycle, journal, register };
}

describe('Lifecycle', () => {
  let context: ReturnType<typeof setup>;
  beforeEach(() => {
    context = setup();
  });

  it('starts the phases in order and stops them in the other, whatever the order of registration', async () => {
    const { lifecycle, journal, register, readiness } = context;
    for (const phase of PHASES.toReversed()) register(phase);
    await lifecycle.start();
    expect(readiness.state).toBe('ready');
    expect(await lifecycle.stop()).toEqual([]);
    expect(journal).toEqual([
      ...PHASES.map((phase) => `start ${phase}`),
      ...PHASES.toReversed().map((phase) => `stop ${phase}`),
    ]);
  });

  it('turns not ready before anything stops, and waits the drain delay', async () => {
    const { clock, lifecycle, journal, register, readiness } = setup({ ...CONFIG, drainDelayMs: 3_000 });
    register('watchers');
    await lifecycle.start();
    const stopped = lifecycle.stop();
    await clock.advance(2_999);
    expect(readiness.state).toBe('draining');
    expect(journal).toEqual(['start watchers']);
    await clock.advance(1);
    await stopped;
    expect(journal).toEqual(['start watchers', 'stop watchers']);
  });

  it('stops only what has begun when the stop comes during start-up, and never turns ready', async () => {
    const { lifecycle, journal, register, readiness } = context;
    register('store');
    register('database', {
      start: (signal) => new Promise((_, reject) => signal.addEventListener('abort', () => reject(signal.reason))),
    });
    register('http');
    const started = lifecycle.start();
    await settle();
    await lifecycle.stop();
    await expect(started).rejects.toThrow('start-up was stopped');
    expect(journal).toEqual(['start store', 'stop database', 'stop store']);
    expect(readiness.state).toBe('draining');
  });

  it('names what does not stop, tells it that its time is over, and goes on with the rest', async () => {
    const { clock, lifecycle, journal, register } = context;
    register('http');
    register('watchers', {
      stop: (deadline) => {
        deadline.addEventListener('abort', () => journal.push('watchers told'));
        return new Promise(() => undefined);
      },
    });
    await lifecycle.start();
    const stopped = lifecycle.stop();
    await clock.advance(4_999);
    expect(journal).toEqual(['start http', 'start watchers']);
    await clock.advance(1 + CONFIG.cutGraceMs);
    expect(await stopped).toEqual(['watchers/it']);
    expect(journal).toEqual(['start http', 'start watchers', 'watchers told', 'stop http']);
  });

  it('ends within the deadline even if nothing stops', async () => {
    const { clock, lifecycle, register } = context;
    for (const phase of PHASES) register(phase, { stop: () => new Promise(() => undefined) });
    await lifecycle.start();
    const stopped = lifecycle.stop();
    await clock.advance(CONFIG.shutdownTimeoutMs + PHASES.length * CONFIG.cutGraceMs);
    expect(await stopped).toHaveLength(PHASES.length);
  });

  it('survives a runnable that fails while stopping', async () => {
    const { lifecycle, journal, register } = context;
    register('http');
    register('streams', { stop: () => Promise.reject(new Error('broken')) });
    await lifecycle.start();
    expect(await lifecycle.stop()).toEqual(['streams/it']);
    expect(journal).toContain('stop http');
  });

  it('tells the first failure, and takes a wanted stop for none', async () => {
    const { lifecycle } = context;
    lifecycle.fail(new StopReason('start-up'));
    lifecycle.fail(new Error('the store died'));
    lifecycle.fail(new Error('and then this'));
    expect(await lifecycle.failure).toEqual(new Error('the store died'));
  });

  it('stops what had started when a start fails', async () => {
    const { lifecycle, journal, register } = context;
    register('store');
    register('database', { start: () => Promise.reject(new Error('too new')) });
    await expect(lifecycle.start()).rejects.toThrow('too new');
    await lifecycle.stop();
    expect(journal).toEqual(['start store', 'stop database', 'stop store']);
  });
});
