import { afterEach, expect, it } from '@jest/globals';
import { Logger } from '@nestjs/common';
import { FakeClock, settle } from '../../test/support/fake-clock.js';
import { EventBus } from './bus/event-bus.js';
import { CriticalDropLog } from './critical-drop-log.js';

afterEach(() => Logger.overrideLogger(false));

it('says at once that events were lost, then the sum every ten seconds', async () => {
  const lines: unknown[] = [];
  const ignore = (): void => undefined;
  Logger.overrideLogger({ error: (line: unknown) => void lines.push(line), log: ignore, warn: ignore });
  const clock = new FakeClock();
  const bus = new EventBus(clock, { eventBufferSize: 10 });
  new CriticalDropLog(bus, clock);
  await bus.start();
  bus.subscribe('stuck', ['service.started'], () => new Promise<void>(() => undefined), {
    bufferSize: 1,
    overflow: 'drop-newest',
    lateByDesign: true,
  });
  const lose = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n += 1) bus.publish('service.started', { at: '' });
    await settle();
  };
  await lose(1);
  await lose(3);
  expect(lines).toMatchObject([{ subscription: 'stuck', eventType: 'service.started', bufferSize: 1, count: 2 }]);
  await lose(4);
  expect(lines).toHaveLength(1);
  await clock.advance(10_000);
  await lose(1);
  expect(lines[1]).toMatchObject({ count: 5 });
});
