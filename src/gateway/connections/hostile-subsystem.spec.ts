import { afterEach, describe, expect, it } from '@jest/globals';
import { Code } from '@connectrpc/connect';
import { errorOf, until } from '../../../test/contracts/subsystem-connection.contract.js';
import { FakeClock } from '../../../test/support/fake-clock.js';
import { type HostileAnswer, HostileSubsystem } from '../../../test/support/flowwatch-subsystem-hostile.js';
import { connectionTo } from '../../../test/support/flowwatch-subsystem-room.js';
import { FlowWatchSubsystem } from '../../../test/support/flowwatch-subsystem.js';
import { RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import { StreamService } from '../gen/flowwatch/v1/stream_service_pb.js';
import type { ConnectSubsystemConnection } from './connect-subsystem-connection.js';

const { getRun, cancelRun } = RunService.method;
const { watchRuns } = StreamService.method;

const READS: readonly (readonly [HostileAnswer, Code])[] = [
  ['endless', Code.ResourceExhausted],
  ['declares-1gib', Code.ResourceExhausted],
  ['wrong-protobuf', Code.Internal],
  ['html', Code.Internal],
  ['redirect-302', Code.Unknown],
  ['redirect-307', Code.Unknown],
  ['bad-gateway', Code.Unavailable],
  ['compressed', Code.Internal],
  ['big-header', Code.Unavailable],
  ['cut-within', Code.Unavailable],
  ['cut-quietly', Code.Unavailable],
  ['cut', Code.Unavailable],
];

describe.each(['http1', 'http2'] as const)('a hostile subsystem over %s', (protocols) => {
  let closing: (() => unknown)[] = [];
  const open = async (
    answer: HostileAnswer | 'silent' | 'gibberish',
  ): Promise<{ hostile: HostileSubsystem; connection: ConnectSubsystemConnection; clock: FakeClock }> => {
    const hostile = await new HostileSubsystem(answer, protocols).start();
    const clock = new FakeClock();
    const connection = connectionTo([hostile.endpoint], { clock });
    closing.push(
      () => connection.close(),
      () => hostile.stop(),
    );
    return { hostile, connection, clock };
  };
  afterEach(async () => {
    for (const close of closing) await close();
    closing = [];
  });

  it.each(READS)('that answers with %s is told as such, without what it says', async (answer, code) => {
    const { hostile, connection } = await open(answer);
    const error = await errorOf(connection.read(getRun, { runId: 'r' }));
    expect(error.code).toBe(code);
    expect(error.rawMessage).not.toMatch(/127\.0|169\.254|10\.0\.0|Welcome/);
    expect(hostile.requests).toBe(1);
  });

  it.each(READS)('that answers a mutation with %s leaves its outcome unknown, and is asked once', async (answer) => {
    const { hostile, connection } = await open(answer);
    const error = await errorOf(connection.mutate(cancelRun, { runId: 'r' }));
    expect(error.code).toBe(Code.Unknown);
    expect(error.rawMessage).toContain('whether it took effect is not known');
    expect(hostile.requests).toBe(1);
  });

  it('that drips ends at the deadline', async () => {
    const { hostile, connection, clock } = await open('drip');
    const error = errorOf(connection.read(getRun, { runId: 'r' }));
    await until(() => hostile.requests === 1);
    for (let second = 0; second < 10; second += 1) {
      hostile.drip();
      await clock.advance(1_000);
    }
    expect((await error).code).toBe(Code.DeadlineExceeded);
  });

  it.each(['silent', 'gibberish'] as const)('that is %s is unavailable', async (answer) => {
    const { hostile, connection, clock } = await open(answer);
    const error = errorOf(connection.read(getRun, { runId: 'r' }));
    let isOver = false;
    void error.then(() => (isOver = true));
    await until(() => hostile.connections > 0);
    for (let passed = 0; passed < 11 && !isOver; passed += 1) await clock.advance(1_000);
    expect([Code.Unavailable, Code.DeadlineExceeded]).toContain((await error).code);
  });

  it.each([
    ['envelope-1gib', Code.ResourceExhausted],
    ['no-end', Code.Unavailable],
    ['html', Code.Internal],
    ['redirect-307', Code.Unknown],
    ['cut-within', Code.Internal],
  ] as const)('that streams with %s ends the stream', async (answer, code) => {
    const { connection } = await open(answer);
    const error = await errorOf(
      (async () => {
        for await (const event of connection.stream(watchRuns, {})) void event;
      })(),
    );
    expect(error.code).toBe(code);
  });

  it('that floods a reader who stands still is held back', async () => {
    const { hostile, connection } = await open('flood');
    const events = connection.stream(watchRuns, {})[Symbol.asyncIterator]();
    expect((await events.next()).done).toBe(false);
    let before = -1;
    for (let still = 0; still < 200; still += 1) {
      if (hostile.written !== before) still = 0;
      before = hostile.written;
      await new Promise((resolve) => setImmediate(resolve));
    }
    // Windows, socket buffers of the kernel and one queue.
    expect(hostile.written).toBeLessThan(16 << 20);
    for (let read = 0; read < 20_000; read += 1) await events.next();
    expect(hostile.written).toBeGreaterThan(before);
    await events.return?.();
  });

  it('that keeps what was not read of its answers, and takes no more for it, is told as what its answers are', async () => {
    const { hostile } = await open('endless');
    const connection = connectionTo([hostile.endpoint], { maxMessageBytes: 1_000 });
    closing.push(() => connection.close());
    // A server of Node has 10 MB for a connection, and of each of these answers 64 KiB that it cannot send.
    const codes = new Set<Code>();
    for (let call = 0; call < 400; call += 1) codes.add((await errorOf(connection.read(getRun, { runId: 'r' }))).code);
    expect([...codes]).toEqual([Code.ResourceExhausted]);
    expect(hostile.requests).toBe(400);
  });

  it('takes neither memory nor the calls to others', async () => {
    const { connection } = await open('endless');
    const good = await new FlowWatchSubsystem({ id: 'good', runs: 3 }).start();
    const other = connectionTo([good.endpoint]);
    closing.push(
      () => other.close(),
      () => good.stop(),
    );
    await other.read(getRun, { runId: 'good-run-00000' });
    const before = process.memoryUsage().rss;
    const bad = Array.from({ length: 60 }, () => errorOf(connection.read(getRun, { runId: 'r' })));
    for (let call = 0; call < 60; call += 1) {
      expect((await other.read(getRun, { runId: 'good-run-00000' })).run?.id).toBe('good-run-00000');
    }
    for (const error of await Promise.all(bad)) expect(error.code).toBe(Code.ResourceExhausted);
    // 60 answers of up to 4 MiB at once, and garbage.
    expect(process.memoryUsage().rss - before).toBeLessThan(600 << 20);
  });
});
