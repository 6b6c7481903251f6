import type { AuditSubject } from '../../audit/index.js';
import { ALL_TENANTS, type Principal } from '../../auth/principal.js';
import type { CommandedRuns } from '../routing/commanded-runs.js';

/** A command as the audit log sees it, whichever way it came. */
export interface EndedCommand {
  readonly principal: Pick<Principal, 'tenantId'>;
  /** Of the run, or of those of a bulk command, as the request names them; what could not be read is left out. */
  readonly named: { readonly runId: string } | { readonly runIds: readonly string[] };
  /** Code of why all of it failed; undefined if it did not. */
  readonly reason: string | undefined;
  /** Of a repetition that of the first. Absent: it was refused before, or is the repetition of one of which none was kept. */
  readonly commanded: CommandedRuns | undefined;
}

/**
 * The rows of a command: of the tenant that has the run, one for each tenant of a bulk command. Where no owner was found
 * it is the caller's own. A bulk row names its runs and tells how many of them are not known to be done; it is a failure
 * if all are.
 */
export function runAuditSubjects({ principal, named, reason, commanded }: EndedCommand): readonly AuditSubject[] {
  const tenantOf = (runId: string): string =>
    principal.tenantId === ALL_TENANTS ? (commanded?.tenantOf(runId) ?? ALL_TENANTS) : principal.tenantId;
  const failure = reason === undefined ? {} : { reason };
  if ('runId' in named) {
    const { runId } = named;
    const outcome = reason === undefined ? 'success' : 'failure';
    return [
      { tenantId: tenantOf(runId), target: runId === '' ? null : { type: 'run', id: runId }, outcome, ...failure },
    ];
  }
  const byTenant = Map.groupBy(new Set(named.runIds), tenantOf);
  if (byTenant.size === 0) byTenant.set(principal.tenantId, []);
  return [...byTenant].map(([tenantId, runs]) => {
    const isRepeated = reason === undefined && commanded === undefined;
    const failed = isRepeated ? 0 : runs.filter((runId) => commanded?.hasSucceeded(runId) !== true).length;
    const isFailure = reason !== undefined || (failed > 0 && failed === runs.length);
    const detail = { runs, ...(isRepeated ? {} : { failed }) };
    return { tenantId, target: null, outcome: isFailure ? 'failure' : 'success', ...failure, detail };
  });
}
