import { counted } from '../../runtime/counted.js';
import type { RunNode, RunState } from '../workflow.js';
import { isSuccess } from './run-plan.js';

const MAX_NAMED = 5;

/** What a run whose nodes have all come to their ends has come to. */
export function runResult(
  nodes: readonly RunNode[],
  isCancelled: boolean,
): { readonly state: Exclude<RunState, 'running'>; readonly message: string | null } {
  const unsuccessful = nodes.filter(({ outcome }) => !isSuccess(outcome));
  if (unsuccessful.length === 0) return { state: 'succeeded', message: null };
  const failed = unsuccessful.filter(({ outcome }) => outcome !== 'skipped');
  if (isCancelled) return { state: 'cancelled', message: `cancelled; ${describe(unsuccessful, nodes.length)}` };
  return { state: 'failed', message: describe(failed, nodes.length) };
}

/** `2 of 5 nodes: web (conflict), jobs (failed)` */
function describe(some: readonly RunNode[], count: number): string {
  const named = some.slice(0, MAX_NAMED).map(({ nodeId, outcome }) => `${nodeId} (${outcome})`);
  const more = some.length > MAX_NAMED ? ', …' : '';
  return `${some.length} of ${counted(count, 'node')}: ${named.join(', ')}${more}`;
}
