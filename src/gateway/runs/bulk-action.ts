import type { CallOptions, SubsystemConnection } from '../connections/subsystem-connection.js';
import { type BulkActionResult, RunService } from '../gen/flowwatch/v1/run_service_pb.js';
import type { CommandCapability } from './run-command-error.js';

/** What is done to many runs of one subsystem: in one call, or one run after another where it has no such call. */
export interface BulkAction {
  readonly capability: CommandCapability;
  all(
    connection: SubsystemConnection,
    runIds: readonly string[],
    options: CallOptions,
  ): Promise<readonly BulkActionResult[]>;
  /** Resolves with the id of the new run; empty if there is none. */
  one(connection: SubsystemConnection, runId: string, options: CallOptions): Promise<string>;
}

const { bulkCancel, bulkRetry, cancelRun, retryRun } = RunService.method;

export const retryAction: BulkAction = {
  capability: 'retryRun',
  async all(connection, runIds, options) {
    return (await connection.mutate(bulkRetry, { runIds: [...runIds] }, options)).results;
  },
  async one(connection, runId, options) {
    return (await connection.mutate(retryRun, { runId }, options)).newRunId;
  },
};

export function cancelOf(reason: string): BulkAction {
  return {
    capability: 'cancelRun',
    async all(connection, runIds, options) {
      return (await connection.mutate(bulkCancel, { runIds: [...runIds], reason }, options)).results;
    },
    async one(connection, runId, options) {
      await connection.mutate(cancelRun, { runId, reason }, options);
      return '';
    },
  };
}
