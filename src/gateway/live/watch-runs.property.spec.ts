import { describe, expect, it } from '@jest/globals';
import { create } from '@bufbuild/protobuf';
import { timestampFromMs } from '@bufbuild/protobuf/wkt';
import { Code, ConnectError } from '@connectrpc/connect';
import fc from 'fast-check';
import { settle } from '../../../test/support/fake-clock.js';
import { LiveRoom, type LiveSubsystem, POLL_MS, Reading } from '../../../test/support/live-room.js';
import { type RunEvent, RunEventType, WatchRunsRequestSchema } from '../gen/flowwatch/v1/stream_service_pb.js';
import { RunStatus } from '../gen/flowwatch/v1/types_pb.js';

const IDS = ['a', 'b', 'c'] as const;

type Step =
  | { readonly kind: 'change'; readonly id: string; readonly run: number; readonly status: RunStatus }
  | { readonly kind: 'add' | 'kill' | 'end' | 'stale' | 'back'; readonly id: string }
  | { readonly kind: 'wait'; readonly ms: number };

const id = fc.constantFrom(...IDS);
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.oneof(
    {
      weight: 5,
      arbitrary: fc.record({ kind: fc.constant('change'), id, run: fc.nat(5), status: fc.integer({ min: 1, max: 6 }) }),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constantFrom('add', 'kill', 'end', 'stale', 'back'), id }) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('wait'), ms: fc.constantFrom(100, 1_500, 40_000) }) },
  ) as fc.Arbitrary<Step>,
  { maxLength: 25 },
);

/** What is known of each run after all events, and that no event said what was known already. */
function viewOf(events: readonly RunEvent[], isStrict: boolean): Map<string, RunStatus> {
  const view = new Map<string, RunStatus>();
  for (const { run, eventType } of events) {
    if (!run) throw new Error('an event without a run');
    if (isStrict && eventType === RunEventType.CREATED) expect(view.has(run.id)).toBe(false);
    view.set(run.id, run.status);
  }
  return view;
}

async function apply(room: LiveRoom, subsystems: ReadonlyMap<string, LiveSubsystem>, step: Step): Promise<void> {
  if (step.kind === 'wait') return room.clock.advance(step.ms);
  const subsystem = subsystems.get(step.id);
  if (!subsystem) return;
  const { services, data } = subsystem;
  if (step.kind === 'change') {
    const run = data.runs[step.run % data.runs.length];
    // As an engine does: what has ended says when.
    const finishedAt = timestampFromMs(room.clock.now());
    if (run && run.status !== step.status) services.emitRun({ run: { ...run, status: step.status, finishedAt } });
  } else if (step.kind === 'kill') services.endStreams(new ConnectError('killed', Code.Unavailable));
  else if (step.kind === 'end') services.endStreams();
  else if (step.kind === 'stale') room.directory.setState(step.id, 'stale');
  else if (step.kind === 'back') room.directory.setState(step.id, 'connected');
  else {
    const run = data.addRun({ status: RunStatus.RUNNING });
    services.emitRun({ eventType: RunEventType.CREATED, run });
  }
  return settle(2);
}

describe('WatchRuns, whatever happens', () => {
  it('ends with what the subsystems have, for those who joined early and late', async () => {
    await fc.assert(
      fc.asyncProperty(steps, steps, fc.boolean(), async (before, after, isOld) => {
        const room = new LiveRoom();
        const epochMs = Date.UTC(2025, 0, 1);
        const subsystems = new Map(
          IDS.map((each) => [each, room.join({ id: each, runs: 4, epochMs, old: isOld && each === 'c' })]),
        );
        const known = (): Map<string, RunStatus> =>
          new Map([...subsystems.values()].flatMap(({ data }) => data.runs.map((run) => [run.id, run.status])));
        const watch = (includeInitialSnapshot: boolean): Reading<RunEvent> => {
          const abort = new AbortController();
          const request = create(WatchRunsRequestSchema, { includeInitialSnapshot });
          return new Reading(room.live.watchRuns(room.caller({ signal: abort.signal }), request), abort);
        };
        const [early, changes] = [watch(true), watch(false)];
        // Both looks of a subsystem that is polled know what is there before anything happens.
        await settle(20);
        const atFirst = known();
        for (const step of before) await apply(room, subsystems, step);
        const late = watch(true);
        for (const step of after) await apply(room, subsystems, step);
        for (const each of IDS) room.directory.setState(each, 'connected');
        await room.clock.advance(40_000 + POLL_MS);
        await settle(20);
        const truth = known();
        expect(viewOf(early.messages, true)).toEqual(truth);
        expect(viewOf(late.messages, false)).toEqual(truth);
        const seen = viewOf(changes.messages, true);
        for (const [run, status] of truth) {
          if (seen.has(run) || atFirst.get(run) !== status) expect([run, seen.get(run)]).toEqual([run, status]);
        }
        for (const reading of [early, changes, late]) {
          expect(reading.outcome).toBeUndefined();
          await reading.leave();
        }
        expect(room.clock.pendingTimers).toBe(0);
        for (const { services } of subsystems.values()) expect(services.watchers).toBe(0);
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
