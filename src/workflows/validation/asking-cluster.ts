import { AppError } from '../../errors/app-error.js';
import { type KubernetesApi, KubernetesApiError, type KubernetesApis } from '../../kubernetes/index.js';
import { runPool } from '../../runtime/worker-pool.js';
import type { StoredWorkflow, WorkflowNode } from '../workflow.js';
import { errorProblem } from './problem.js';
import type { Finding, Problem } from './validator.js';

/** Calls of one validator at a time. */
const PARALLEL_CALLS = 5;

export type ClusterApis = Pick<KubernetesApis, 'forCluster'>;

/** What `work` finds out; a cluster that cannot be asked is one problem, however many calls would have failed. */
export async function askingCluster(
  apis: ClusterApis,
  { clusterId }: Pick<StoredWorkflow, 'clusterId'>,
  signal: AbortSignal,
  work: (api: KubernetesApi) => Promise<Finding>,
): Promise<Finding> {
  try {
    return await work(await apis.forCluster(clusterId));
  } catch (error) {
    signal.throwIfAborted();
    return { summary: null, problems: [unavailable(error)] };
  }
}

/** @throws the error itself if it says nothing about the cluster. */
function unavailable(error: unknown): Problem {
  const hint = 'see the verdict of reachability, and validate again';
  if (error instanceof AppError) return errorProblem(`the cluster cannot be asked: ${error.detail}`, { hint });
  if (!(error instanceof KubernetesApiError)) throw error;
  return errorProblem(`the cluster cannot be asked: ${error.message}`, { hint });
}

/** Work on many things, a few at a time. The first failure ends all of it and is thrown. */
export async function inParallel<T>(
  items: readonly T[],
  signal: AbortSignal,
  work: (item: T, signal: AbortSignal) => Promise<readonly Problem[]>,
): Promise<Problem[]> {
  const failed = new AbortController();
  const either = AbortSignal.any([signal, failed.signal]);
  const found: Array<readonly Problem[]> = items.map(() => []);
  await runPool(
    items.entries(),
    PARALLEL_CALLS,
    async ([index, item]) => {
      try {
        found[index] = await work(item, either);
      } catch (error) {
        failed.abort(error);
        throw error;
      }
    },
    either,
  );
  signal.throwIfAborted();
  return found.flat();
}

/** As `inParallel`, over the nodes of a workflow. */
export function atEachNode(
  { nodes }: Pick<StoredWorkflow, 'nodes'>,
  signal: AbortSignal,
  work: (node: WorkflowNode, signal: AbortSignal) => Promise<readonly Problem[]>,
): Promise<Problem[]> {
  return inParallel(nodes, signal, work);
}
