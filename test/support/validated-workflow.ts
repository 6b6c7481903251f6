import type { Manifest, StoredWorkflow, WorkflowEdge, WorkflowNode } from '../../src/workflows/workflow.js';
import { newId } from './workflow-room.js';

export const NAMESPACE = 'shop';

export function node(id: string, manifest: unknown, timeoutMs = 60_000): WorkflowNode {
  return { id, manifest: manifest as Manifest, timeoutMs };
}

/** `a -> b` waits until `a` is applied, `a => b` until it is healthy. */
export function edges(...arrows: readonly string[]): WorkflowEdge[] {
  return arrows.map((arrow) => {
    const [, source = '', kind, target = ''] = /^(\S+) ([-=])> (\S+)$/.exec(arrow) ?? [];
    return { source, target, waitFor: kind === '=' ? 'healthy' : 'applied' };
  });
}

export function storedWorkflow(change: Partial<StoredWorkflow> = {}): StoredWorkflow {
  const at = '2026-01-01T00:00:00.000Z';
  return {
    id: newId(),
    tenantId: 'default',
    name: 'shop',
    labels: {},
    clusterId: newId(),
    namespace: NAMESPACE,
    onFailure: 'stop',
    nodes: [],
    edges: [],
    state: 'active',
    revision: 1,
    version: 1,
    createdAt: at,
    createdBy: 'ann',
    updatedAt: at,
    ...change,
  };
}

export const TIMEOUT_MS = 10_000;
export const unaborted = (): AbortSignal => new AbortController().signal;
