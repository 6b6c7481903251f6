import { describe, expect, it } from '@jest/globals';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { durationFromMs, timestampFromMs } from '@bufbuild/protobuf/wkt';
import fc from 'fast-check';
import { type Run, RunSchema } from '../gen/flowwatch/v1/types_pb.js';
import { compareKeys, compareText, runOrder } from './run-order.js';
import { readUndecodedRun, readWorkflowId, withIds } from './undecoded-run.js';

const text = fc.string({ unit: 'binary', maxLength: 40 }).map((value) => value.toWellFormed());
const time = fc.option(fc.record({ seconds: fc.bigInt(-62135596800n, 253402300799n), nanos: fc.nat(999_999_999) }), {
  nil: undefined,
});
const run = fc
  .record({
    id: text.filter((id) => id !== ''),
    workflowId: text,
    foreignId: text,
    status: fc.nat(6),
    startedAt: time,
    duration: time,
  })
  .map(({ startedAt, duration, ...rest }) =>
    create(RunSchema, {
      ...rest,
      metadata: { a: rest.foreignId },
      error: { message: rest.workflowId },
      ...(startedAt && { startedAt }),
      ...(duration && { duration }),
    }),
  );

describe('readUndecodedRun', () => {
  it('reads what decoding the run would give', () => {
    const keyOf: Record<string, (run: Run) => readonly [number | string, number]> = {
      started_at: ({ startedAt }) => [startedAt ? Number(startedAt.seconds) : -Infinity, startedAt?.nanos ?? 0],
      duration: ({ duration }) => [duration ? Number(duration.seconds) : -Infinity, duration?.nanos ?? 0],
      status: ({ status }) => [status, 0],
      workflow_id: ({ workflowId }) => [workflowId, 0],
      foreign_id: ({ foreignId }) => [foreignId, 0],
      id: ({ id }) => [id, 0],
    };
    fc.assert(
      fc.property(run, fc.constantFrom(...Object.keys(keyOf)), (message, orderBy) => {
        const bytes = toBinary(RunSchema, message);
        const { field } = runOrder({ orderBy, descending: false });
        const [major, minor] = keyOf[orderBy]?.(message) ?? [];
        expect(readUndecodedRun(bytes, field)).toEqual({ bytes, id: message.id, major, minor });
        expect(readWorkflowId(bytes)).toBe(message.workflowId);
      }),
    );
  });

  it('reads the last of an id that comes twice, as every decoder does', () => {
    const bytes = toBinary(RunSchema, create(RunSchema, { id: 'r1', workflowId: 'w', startedAt: timestampFromMs(5) }));
    const renamed = withIds(bytes, { runId: 'a~r1', workflowId: 'a~w' });
    expect(fromBinary(RunSchema, renamed)).toMatchObject({
      id: 'a~r1',
      workflowId: 'a~w',
      startedAt: { nanos: 5_000_000 },
    });
    expect(readUndecodedRun(renamed, runOrder({ orderBy: 'id', descending: false }).field)).toMatchObject({
      id: 'a~r1',
      major: 'a~r1',
    });
    expect(withIds(bytes, {})).toBe(bytes);
  });

  it('throws at bytes that are no run, and never reads past them', () => {
    const { field } = runOrder({ orderBy: 'started_at', descending: false });
    const whole = toBinary(
      RunSchema,
      create(RunSchema, { id: 'r1', startedAt: timestampFromMs(5), duration: durationFromMs(7) }),
    );
    fc.assert(
      fc.property(
        fc.oneof(
          fc.uint8Array({ maxLength: 60 }),
          fc.nat(whole.length).map((n) => whole.subarray(0, n)),
        ),
        (bytes) => {
          try {
            expect(readUndecodedRun(bytes, field).id).not.toBe('');
          } catch (error) {
            expect(error).toBeInstanceOf(Error);
          }
        },
      ),
    );
    expect(() => readUndecodedRun(new Uint8Array(), field)).toThrow('without a usable id');
    expect(() => readUndecodedRun(whole.subarray(0, whole.length - 1), field)).toThrow();
  });
});

describe('runOrder', () => {
  it('has the newest first when nothing is said', () => {
    expect(runOrder({ orderBy: '', descending: false })).toMatchObject({ name: 'started_at', descending: true });
    expect(runOrder({ orderBy: 'started_at', descending: false })).toMatchObject({ descending: false });
  });

  it('orders text as its UTF-8 bytes', () => {
    fc.assert(
      fc.property(text, text, (a, b) => {
        expect(Math.sign(compareText(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
    );
  });

  it('has a time that is not there before all others', () => {
    const order = runOrder({ orderBy: 'finished_at', descending: false });
    expect(compareKeys(order, { major: -Infinity, minor: 0 }, { major: -62135596800, minor: 0 })).toBeLessThan(0);
    expect(compareKeys(order, { major: -Infinity, minor: 0 }, { major: -Infinity, minor: 0 })).toBe(0);
  });
});
