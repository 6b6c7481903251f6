import { describe, expect, it } from '@jest/globals';
import { type MessageInitShape, create } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { TraceSpanSchema } from '../gen/flowwatch/v1/workflow_service_pb.js';
import { toNanos } from '../routing/wire-time.js';
import { type MergedTrace, mergeTrace } from './merge-trace.js';

const NOON = Date.UTC(2026, 0, 1, 12);

function span(spanId: string, more: MessageInitShape<typeof TraceSpanSchema> = {}) {
  return create(TraceSpanSchema, { spanId, ...more });
}

/** As the original tells a span: offset and duration are 0. */
function ran(spanId: string, startMs: number, lastedMs: number, parentSpanId = '') {
  const run = { startedAt: timestampFromMs(NOON + startMs), finishedAt: timestampFromMs(NOON + startMs + lastedMs) };
  return span(spanId, { parentSpanId, run, offset: durationFromMs(0), duration: durationFromMs(0) });
}

const ms = (time: { seconds: bigint; nanos: number } | undefined) => (time ? Number(toNanos(time)) / 1e6 : undefined);
const shape = ({ spans }: MergedTrace) => spans.map((each) => [each.spanId, ms(each.offset), ms(each.duration)]);

describe('a trace across subsystems', () => {
  it('is one waterfall from its first start to its last end', () => {
    const merged = mergeTrace([
      { subsystemId: 'billing', spans: [ran('charge', 300, 500, 'order'), ran('refund', 2_000, 250, 'order')] },
      { subsystemId: 'orders', spans: [ran('order', 100, 900)] },
      { subsystemId: 'empty', spans: [] },
    ]);
    expect(shape(merged)).toEqual([
      ['order', 0, 900],
      ['charge', 200, 500],
      ['refund', 1_900, 250],
    ]);
    expect(ms(merged.totalDuration)).toBe(2_150);
    expect(merged.subsystemCount).toBe(2);
    expect(merged.spans.map(({ subsystemId }) => subsystemId)).toEqual(['orders', 'billing', 'billing']);
  });

  it('puts parents before children that start together', () => {
    const spans = [ran('a-grandchild', 0, 1, 'b-child'), ran('b-child', 0, 1, 'c-root'), ran('c-root', 0, 1)];
    const merged = mergeTrace([{ subsystemId: 'x', spans }]);
    expect(merged.spans.map(({ spanId }) => spanId)).toEqual(['c-root', 'b-child', 'a-grandchild']);
  });

  it('places spans without a run by their offset within their subsystem', () => {
    const merged = mergeTrace([
      { subsystemId: 'late', spans: [ran('first', 1_000, 10), span('second', { offset: durationFromMs(40) })] },
      { subsystemId: 'early', spans: [ran('zero', 0, 5)] },
    ]);
    expect(shape(merged)).toEqual([
      ['zero', 0, 5],
      ['first', 1_000, 10],
      ['second', 1_040, 0],
    ]);
  });

  it('ends with parents that are each other’s, and with times that lie', () => {
    const spans = [
      ran('a', 0, -50, 'b'),
      ran('b', 0, 1, 'a'),
      span('c', { parentSpanId: 'c', offset: durationFromMs(-5), duration: durationFromMs(-1) }),
    ];
    const merged = mergeTrace([{ subsystemId: 'x', spans }]);
    expect(merged.spans).toHaveLength(3);
    expect(ms(merged.totalDuration)).toBe(1);
  });

  it('does not depend on how its spans are spread and ordered', () => {
    const anySpan = fc.tuple(fc.nat(50), fc.nat(50), fc.nat(3));
    fc.assert(
      fc.property(fc.array(anySpan, { minLength: 1, maxLength: 12 }), (all) => {
        const spans = all.map(([start, lasted], index) =>
          ran(`s${index}`, start, lasted, index > 0 ? `s${index - 1}` : ''),
        );
        const spread = [0, 1, 2, 3].map((part) => ({
          subsystemId: `sub${part}`,
          spans: spans.filter((_, index) => all[index]?.[2] === part),
        }));
        const merged = mergeTrace(spread);
        const first = Math.min(...all.map(([start]) => start));
        const last = Math.max(...all.map(([start, lasted]) => start + lasted));
        expect(ms(merged.totalDuration)).toBe(last - first);
        const offsets = merged.spans.map(({ offset }) => ms(offset) ?? NaN);
        expect(offsets).toEqual(offsets.toSorted((a, b) => a - b));
        expect(shape(mergeTrace(spread.toReversed()))).toEqual(shape(merged));
      }),
    );
  });
});
