import { describe, expect, it } from '@jest/globals';
import { ByteBudget } from './byte-budget.js';
import { BATCH_BYTES, type ChannelEvent, NOT_COVERED } from './channel-event.js';
import { ChannelLog } from './channel-log.js';

function publish(log: ChannelLog, sequence: number, bytes: number): ChannelEvent {
  const event = {
    sequence,
    entity: `e${sequence}`,
    version: 1,
    final: false,
    frame: Buffer.alloc(bytes, `${sequence % 10}`),
    coveredBy: NOT_COVERED,
    superseded: false,
    keeper: log,
  };
  log.append(event);
  return event;
}

/** A channel of `count` events of a quarter of a batch each. */
function channelOf(count: number): ChannelLog {
  const log = new ChannelLog(new ByteBudget(1e9));
  for (let sequence = 1; sequence <= count; sequence += 1) publish(log, sequence, BATCH_BYTES / 4);
  return log;
}

describe('batches of readers that fell behind', () => {
  it('are the same buffer for readers at the same place, whoever read in between', () => {
    const log = channelOf(20);
    const [early, late] = [log.batchAfter(0), log.batchAfter(7)];
    expect(early).toMatchObject({ count: 4, upTo: 4 });
    expect(late).toMatchObject({ count: 4, upTo: 11 });
    expect(log.batchAfter(0)?.bytes).toBe(early?.bytes);
    expect(log.batchAfter(7)?.bytes).toBe(late?.bytes);
  });

  it('hold what came later once there was room for it', () => {
    const log = channelOf(2);
    expect(log.batchAfter(0)).toMatchObject({ count: 2, upTo: 2 });
    publish(log, 3, 10);
    log.batchAfter(1);
    expect(log.batchAfter(0)).toMatchObject({ count: 3, upTo: 3 });
  });

  it('are made anew when a snapshot shows one of their events', () => {
    const log = channelOf(20);
    const other = channelOf(20);
    const [before, untouched] = [log.batchAfter(0), other.batchAfter(0)];
    log.cover(0, new Map([['e3', 1]]));
    expect(before).toMatchObject({ count: 4 });
    expect(log.batchAfter(0)).toMatchObject({ count: 2, upTo: 2 });
    expect(other.batchAfter(0)?.bytes).toBe(untouched?.bytes);
  });

  it('are remembered for so many places only', () => {
    const log = channelOf(40);
    const first = log.batchAfter(0);
    for (let place = 1; place <= 16; place += 1) log.batchAfter(place);
    expect(log.batchAfter(0)?.bytes).not.toBe(first?.bytes);
    expect(log.batchAfter(0)?.bytes).toEqual(first?.bytes);
  });
});
