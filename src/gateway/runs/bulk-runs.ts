import { Inject, Injectable } from '@nestjs/common';
import { create } from '@bufbuild/protobuf';
import { Code, ConnectError } from '@connectrpc/connect';
import {
  type BulkActionResult,
  type BulkCancelRequest,
  type BulkCancelResponse,
  type BulkRetryRequest,
  type BulkRetryResponse,
  BulkActionResultSchema,
  BulkCancelResponseSchema,
  BulkRetryResponseSchema,
} from '../gen/flowwatch/v1/run_service_pb.js';
import { runPool } from '../../runtime/worker-pool.js';
import type { Subsystem } from '../registry/subsystem-directory.js';
import type { Answer, SubsystemFailure } from '../routing/answer.js';
import type { Caller } from '../routing/caller.js';
import { failureReason } from '../routing/failure-reason.js';
import { requireBulkIds } from '../routing/limits.js';
import { type OwnedRun, type RunOwners, RUN_OWNERS } from '../routing/run-owners.js';
import { shownId } from '../routing/shown-id.js';
import { type BulkAction, cancelOf, retryAction } from './bulk-action.js';
import { type RunOutcome, actOnRuns } from './bulk-at-owner.js';

/** Runs of one request that are looked for at the same time. */
const LOOKUPS = 10;

type Found = OwnedRun | ConnectError;

/** The same done to many runs: split by owner, each owner asked once, answered run by run in the order asked. */
@Injectable()
export class BulkRuns {
  constructor(@Inject(RUN_OWNERS) private readonly owners: RunOwners) {}

  async bulkRetry(caller: Caller, { runIds }: BulkRetryRequest): Promise<Answer<BulkRetryResponse>> {
    const { results, failures } = await this.act(caller, runIds, retryAction);
    return { value: create(BulkRetryResponseSchema, { results }), failures, notes: [] };
  }

  async bulkCancel(caller: Caller, { runIds, reason }: BulkCancelRequest): Promise<Answer<BulkCancelResponse>> {
    const { results, failures } = await this.act(caller, runIds, cancelOf(reason));
    return { value: create(BulkCancelResponseSchema, { results }), failures, notes: [] };
  }

  private async act(
    caller: Caller,
    runIds: readonly string[],
    action: BulkAction,
  ): Promise<{ results: BulkActionResult[]; failures: readonly SubsystemFailure[] }> {
    requireBulkIds(runIds, 'run_ids');
    const found = await this.findAll(caller, runIds);
    // Nothing has been done by now, and nothing is for somebody who has left.
    if (caller.signal.aborted) throw ConnectError.from(caller.signal.reason, Code.Canceled);
    const outcomes = new Map<Subsystem, ReadonlyMap<string, RunOutcome>>();
    const failures: SubsystemFailure[] = [];
    const perOwner = [...runsByOwner(runIds, found)].map(async ([subsystem, ids]) => {
      const { outcomes: answered, failed } = await actOnRuns(caller, subsystem, [...ids], action);
      outcomes.set(subsystem, answered);
      if (failed) failures.push({ subsystemId: subsystem.id, reason: failureReason(failed) });
    });
    await Promise.all(perOwner);
    const results = runIds.map((text) => this.result(caller, text, found.get(text), outcomes));
    for (const { runId, success } of results) if (success) caller.commanded?.succeeded(runId);
    return { results, failures };
  }

  private async findAll(caller: Caller, runIds: readonly string[]): Promise<ReadonlyMap<string, Found>> {
    const found = new Map<string, Found>();
    const find = async (text: string): Promise<void> => {
      try {
        const owned = await this.owners.findSole(caller, text);
        found.set(text, owned);
        caller.commanded?.found(text, owned.subsystem.tenantId);
      } catch (error) {
        found.set(text, ConnectError.from(error));
      }
    };
    await runPool(new Set(runIds), LOOKUPS, find, caller.signal);
    return found;
  }

  private result(
    { principal }: Caller,
    text: string,
    found: Found | undefined,
    outcomes: ReadonlyMap<Subsystem, ReadonlyMap<string, RunOutcome>>,
  ): BulkActionResult {
    if (found === undefined || found instanceof ConnectError) {
      return create(BulkActionResultSchema, { runId: text, error: found?.message ?? 'not attempted' });
    }
    const outcome = outcomes.get(found.subsystem)?.get(found.runId);
    if (outcome === undefined || 'error' in outcome) {
      // What is remembered of it may be why.
      this.owners.forget(found.subsystem, found.runId);
      return create(BulkActionResultSchema, { runId: text, error: outcome?.error ?? 'not attempted' });
    }
    const { newRunId } = outcome;
    if (newRunId === '') return create(BulkActionResultSchema, { runId: text, success: true });
    this.owners.seen(found.subsystem, newRunId);
    const shown = shownId(found, newRunId, this.owners.isAmbiguous(newRunId, principal));
    return create(BulkActionResultSchema, { runId: text, success: true, newRunId: shown });
  }
}

/** In the order asked: an owner gets them so. */
function runsByOwner(
  runIds: readonly string[],
  found: ReadonlyMap<string, Found>,
): ReadonlyMap<Subsystem, ReadonlySet<string>> {
  const grouped = new Map<Subsystem, Set<string>>();
  for (const owned of runIds.map((text) => found.get(text))) {
    if (owned === undefined || owned instanceof ConnectError) continue;
    grouped.set(owned.subsystem, (grouped.get(owned.subsystem) ?? new Set()).add(owned.runId));
  }
  return grouped;
}
