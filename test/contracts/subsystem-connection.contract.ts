import { afterEach, describe, expect, it } from '@jest/globals';
import { Code, ConnectError } from '@connectrpc/connect';
import type { SubsystemConnection } from '../../src/gateway/connections/subsystem-connection.js';
import { UndecodedListRunsResponseSchema } from '../../src/gateway/gen/crowsnest/flowwatch/v1/undecoded_pb.js';
import { RunService } from '../../src/gateway/gen/flowwatch/v1/run_service_pb.js';
import { StreamService } from '../../src/gateway/gen/flowwatch/v1/stream_service_pb.js';
import { RunStatus } from '../../src/gateway/gen/flowwatch/v1/types_pb.js';
import type { FakeClock } from '../support/fake-clock.js';
import type { SubsystemDataOptions } from '../support/flowwatch-subsystem-data.js';
import type { ServicesOptions, SubsystemServices } from '../support/flowwatch-subsystem-services.js';

export interface SubsystemConnectionRig {
  readonly connection: SubsystemConnection & { close(): void };
  readonly services: SubsystemServices;
  /** The connection's; its calls have 10 s. */
  readonly clock: FakeClock;
  /** Calls of the method are answered only after the returned function was called. */
  readonly hold: (method: string) => () => void;
  readonly fail: (code: Code, message: string) => void;
  /** How often the method was called. */
  readonly count: (method: string) => number;
  readonly close: () => Promise<void>;
}

export async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

export async function errorOf(work: Promise<unknown>): Promise<ConnectError> {
  try {
    await work;
  } catch (error) {
    expect(error).toBeInstanceOf(ConnectError);
    return error as ConnectError;
  }
  throw new Error('it succeeded');
}

const { getRun, listRuns, cancelRun, retryRun } = RunService.method;
const { watchRuns } = StreamService.method;
/** Of these the subsystem is named, and not quoted. */
const OURS: ReadonlySet<Code> = new Set([
  Code.PermissionDenied,
  Code.Unavailable,
  Code.DeadlineExceeded,
  Code.Canceled,
  Code.Unknown,
  Code.Internal,
  Code.DataLoss,
  Code.Unauthenticated,
]);

/** What every `SubsystemConnection` does, whatever carries it. */
export function subsystemConnectionContract(
  name: string,
  open: (options: SubsystemDataOptions & ServicesOptions) => Promise<SubsystemConnectionRig>,
): void {
  describe(`${name} as a SubsystemConnection`, () => {
    let rig: SubsystemConnectionRig;
    const start = async (options: ServicesOptions = {}): Promise<SubsystemConnectionRig> =>
      (rig = await open({ id: 'billing', runs: 5, ...options }));
    afterEach(() => rig.close());
    const firstRun = 'billing-run-00000';

    it('reads, and leaves undecoded what the method says', async () => {
      const { connection } = await start();
      const { run } = await connection.read(getRun, { runId: firstRun });
      expect(run).toMatchObject({ id: firstRun, status: RunStatus.SUCCEEDED, subsystemId: 'billing-domain' });
      const { runs, pagination } = await connection.read(
        { ...listRuns, output: UndecodedListRunsResponseSchema },
        { pagination: { limit: 2 } },
      );
      expect(runs).toEqual([expect.any(Uint8Array), expect.any(Uint8Array)]);
      expect(Buffer.from(runs[0] ?? []).toString('latin1')).toContain('billing-run-00004');
      expect(pagination?.totalCount).toBe(5);
    });

    it('carries a mutation and its idempotency key once', async () => {
      const { connection, services } = await start();
      const { newRunId } = await connection.mutate(retryRun, { runId: firstRun }, { idempotencyKey: 'key-1' });
      expect(services.data.run(newRunId)?.status).toBe(RunStatus.PENDING);
      expect(services.effects).toEqual([{ method: 'RetryRun', runId: firstRun, idempotencyKey: 'key-1' }]);
    });

    it.each([
      [Code.InvalidArgument, Code.InvalidArgument],
      [Code.NotFound, Code.NotFound],
      [Code.AlreadyExists, Code.AlreadyExists],
      [Code.PermissionDenied, Code.Internal],
      [Code.ResourceExhausted, Code.ResourceExhausted],
      [Code.FailedPrecondition, Code.FailedPrecondition],
      [Code.Aborted, Code.Aborted],
      [Code.OutOfRange, Code.OutOfRange],
      [Code.Unimplemented, Code.Unimplemented],
      [Code.Unavailable, Code.Unavailable],
      [Code.DeadlineExceeded, Code.DeadlineExceeded],
      [Code.Canceled, Code.Unavailable, Code.Unknown],
      [Code.Unknown, Code.Unknown],
      [Code.Internal, Code.Internal],
      [Code.DataLoss, Code.Internal],
      [Code.Unauthenticated, Code.Internal],
    ])('passes on what the subsystem says of the request: %s', async (told, shown, shownOfMutation = shown) => {
      const { connection, fail } = await start();
      fail(told, `secret\u001b[31m of 10.0.0.7:80 ${'x'.repeat(2_000)}`);
      const ofRead = await errorOf(connection.read(getRun, { runId: firstRun }));
      const ofMutation = await errorOf(connection.mutate(cancelRun, { runId: firstRun }));
      expect([ofRead.code, ofMutation.code]).toEqual([shown, shownOfMutation]);
      for (const error of [ofRead, ofMutation]) {
        expect(error.details).toEqual([]);
        expect(error.rawMessage.length).toBeLessThanOrEqual(512);
        expect(error.rawMessage).not.toContain('\u001b');
        expect(error.rawMessage).not.toContain('10.0.0.7');
        expect(error.rawMessage).toMatch(OURS.has(told) ? /^subsystem billing / : /^secret/);
      }
    });

    it('ends a read at the shorter of its own and the caller’s deadline', async () => {
      const { connection, clock, hold, count } = await start();
      const release = hold('GetRun');
      const short = errorOf(connection.read(getRun, { runId: firstRun }, { timeoutMs: 300 }));
      const long = errorOf(connection.read(getRun, { runId: firstRun }, { timeoutMs: 60_000 }));
      await until(() => count('GetRun') === 2);
      await clock.advance(300);
      expect((await short).code).toBe(Code.DeadlineExceeded);
      let isOver = false;
      void long.then(() => (isOver = true));
      await clock.advance(9_600);
      expect(isOver).toBe(false);
      await clock.advance(200);
      expect((await long).code).toBe(Code.DeadlineExceeded);
      release();
    });

    it('does not know the outcome of a mutation that was not answered in time', async () => {
      const { connection, clock, hold, count } = await start();
      const release = hold('CancelRun');
      const error = errorOf(connection.mutate(cancelRun, { runId: firstRun }));
      await until(() => count('CancelRun') === 1);
      await clock.advance(10_000);
      expect(await error).toMatchObject({ code: Code.Unknown });
      expect((await error).rawMessage).toContain('not known');
      release();
      expect(count('CancelRun')).toBe(1);
    });

    it('ends with the caller, and does not begin after it', async () => {
      const { connection, hold, count } = await start();
      const release = hold('GetRun');
      const caller = new AbortController();
      const error = errorOf(connection.read(getRun, { runId: firstRun }, { signal: caller.signal }));
      await until(() => count('GetRun') === 1);
      caller.abort();
      expect((await error).code).toBe(Code.Canceled);
      const again = await errorOf(connection.read(getRun, { runId: firstRun }, { signal: caller.signal }));
      expect(again.code).toBe(Code.Canceled);
      release();
    });

    it('leaves no timer behind', async () => {
      const { connection, clock } = await start();
      await connection.read(getRun, { runId: firstRun });
      await errorOf(connection.read(getRun, { runId: 'unknown' }));
      connection.close();
      await until(() => clock.pendingTimers === 0);
    });

    it('streams in order, and ends as the subsystem ends', async () => {
      const { connection, services } = await start();
      const ids: string[] = [];
      const reading = (async () => {
        for await (const { run } of connection.stream(watchRuns, { includeInitialSnapshot: true })) {
          ids.push(run?.id ?? '');
        }
      })();
      await until(() => ids.length === 5);
      for (let index = 0; index < 500; index += 1)
        services.emitRun({ run: services.data.addRun({ id: `new-${index}` }) });
      await until(() => ids.length === 505);
      services.endStreams();
      await reading;
      expect(ids.slice(5)).toEqual(Array.from({ length: 500 }, (_, index) => `new-${index}`));
    });

    it('throws what ends a stream', async () => {
      const { connection, services } = await start();
      const seen: unknown[] = [];
      const reading = errorOf(
        (async () => {
          for await (const event of connection.stream(watchRuns, { includeInitialSnapshot: true })) seen.push(event);
        })(),
      );
      await until(() => seen.length === 5);
      services.endStreams(new ConnectError('no more of it', Code.FailedPrecondition));
      expect(await reading).toMatchObject({ code: Code.FailedPrecondition, rawMessage: 'no more of it' });
    });

    it('lets go of the subsystem’s stream when its reader leaves or is aborted', async () => {
      const { connection, services } = await start();
      for await (const { run } of connection.stream(watchRuns, { includeInitialSnapshot: true })) {
        if (run?.id === 'billing-run-00001') break;
      }
      await until(() => services.watchers === 0);
      const caller = new AbortController();
      const reading = errorOf(
        (async () => {
          for await (const event of connection.stream(watchRuns, {}, { signal: caller.signal })) void event;
        })(),
      );
      await until(() => services.watchers === 1);
      caller.abort();
      expect((await reading).code).toBe(Code.Canceled);
      await until(() => services.watchers === 0);
    });

    it('tells what an old subsystem does not offer', async () => {
      const { connection } = await start({ old: true });
      const reading = errorOf(
        (async () => {
          for await (const event of connection.stream(watchRuns, {})) void event;
        })(),
      );
      expect((await reading).code).toBe(Code.Unimplemented);
    });

    it('is unavailable once closed', async () => {
      const { connection } = await start();
      connection.close();
      expect((await errorOf(connection.read(getRun, { runId: firstRun }))).code).toBe(Code.Unavailable);
    });
  });
}
