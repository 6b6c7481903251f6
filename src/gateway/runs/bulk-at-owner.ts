import { Code, ConnectError } from '@connectrpc/connect';
import type { BulkActionResult } from '../gen/flowwatch/v1/run_service_pb.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import { type Caller, callOptions } from '../routing/caller.js';
import type { BulkAction } from './bulk-action.js';
import { isUndecided, mayHaveTakenEffect, requireCapability } from './run-command-error.js';

/** `newRunId` is empty if none was made. */
export type RunOutcome = { readonly newRunId: string } | { readonly error: string };

export interface OwnerOutcome {
  readonly outcomes: ReadonlyMap<string, RunOutcome>;
  /** Why the subsystem's whole part is missing. */
  readonly failed?: ConnectError | undefined;
}

/** Acts on runs of one subsystem, each at most once, and tells of each what came of it. Never rejects. */
export async function actOnRuns(
  caller: Caller,
  subsystem: Subsystem,
  runIds: readonly string[],
  action: BulkAction,
): Promise<OwnerOutcome> {
  try {
    requireCapability(subsystem, action.capability);
  } catch (error) {
    return allFailed(runIds, () => ConnectError.from(error));
  }
  try {
    const results = await action.all(subsystem.connection, runIds, callOptions(caller));
    return { outcomes: outcomesOf(runIds, results) };
  } catch (error) {
    if (ConnectError.from(error).code === Code.Unimplemented) {
      return { outcomes: await oneAfterAnother(caller, subsystem, runIds, action) };
    }
    return allFailed(runIds, (runId) => mayHaveTakenEffect(error, runId));
  }
}

function allFailed(runIds: readonly string[], reason: (runId: string) => ConnectError): OwnerOutcome {
  const outcomes = new Map(runIds.map((runId) => [runId, { error: reason(runId).message }]));
  return { outcomes, failed: reason(runIds[0] ?? '') };
}

function outcomesOf(runIds: readonly string[], results: readonly BulkActionResult[]): ReadonlyMap<string, RunOutcome> {
  const byId = new Map(results.map((result) => [result.runId, result]));
  return new Map(
    runIds.map((runId): [string, RunOutcome] => {
      const result = byId.get(runId);
      if (!result) return [runId, { error: unanswered(runId) }];
      if (result.success) return [runId, { newRunId: result.newRunId }];
      return [runId, { error: result.error || 'the subsystem refused, and gave no reason' }];
    }),
  );
}

function unanswered(runId: string): string {
  const silent = new ConnectError('the subsystem did not say what came of it', Code.Unknown);
  return mayHaveTakenEffect(silent, runId).message;
}

/** Stops at the first sign that the subsystem is not to be had: the runs after it are not attempted. */
async function oneAfterAnother(
  caller: Caller,
  { connection }: Subsystem,
  runIds: readonly string[],
  action: BulkAction,
): Promise<ReadonlyMap<string, RunOutcome>> {
  const outcomes = new Map<string, RunOutcome>();
  let stopped: ConnectError | undefined;
  for (const runId of runIds) {
    if (stopped) {
      outcomes.set(runId, { error: `not attempted, since an earlier one failed: ${stopped.message}` });
      continue;
    }
    try {
      outcomes.set(runId, { newRunId: await action.one(connection, runId, optionsFor(caller, runId)) });
    } catch (error) {
      const failed = ConnectError.from(error);
      outcomes.set(runId, { error: mayHaveTakenEffect(failed, runId).message });
      if (isUndecided(failed) || failed.code === Code.Unavailable) stopped = failed;
    }
  }
  return outcomes;
}

/** One key for several requests would make all but the first look like its repetition. */
function optionsFor(caller: Caller, runId: string): ReturnType<typeof callOptions> {
  const options = callOptions(caller);
  if (options.idempotencyKey === undefined) return options;
  return { ...options, idempotencyKey: `${options.idempotencyKey}:${encodeURIComponent(runId.toWellFormed())}` };
}
