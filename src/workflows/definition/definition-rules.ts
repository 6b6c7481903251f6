import { apiVersionOf, findKind, type KindDefinition } from '../../kubernetes/kinds.js';
import type { WorkflowEdge, WorkflowNode } from '../workflow.js';
import { findCycle } from './graph.js';
import { isJsonObject } from './json-structure.js';
import { checkManifest } from './manifest-rules.js';
import { below, type Violation } from './violation.js';

export const MAX_NODES = 200;
export const MAX_EDGES = 2_000;
/** More would not help anyone to mend the input. */
const MAX_REPORTED = 100;

/** What somebody wants a workflow to be, before it was looked at. */
export interface DefinitionInput {
  readonly namespace: string;
  readonly nodes: ReadonlyArray<Pick<WorkflowNode, 'id'> & { readonly manifest: unknown }>;
  readonly edges: ReadonlyArray<Pick<WorkflowEdge, 'source' | 'target'>>;
}

/** Every broken rule with its path below the definition (`nodes[2].manifest.kind`), at most 100; empty: it may be stored. */
export function checkDefinition(definition: DefinitionInput): Violation[] {
  const tooMany = checkCounts(definition);
  if (tooMany.length > 0) return tooMany;
  return [
    ...checkIds(definition),
    ...definition.nodes.flatMap((node, index) =>
      below(['nodes', index, 'manifest'], checkManifest(node.manifest, definition.namespace)),
    ),
    ...checkObjects(definition),
    ...checkEdges(definition),
  ].slice(0, MAX_REPORTED);
}

function checkCounts({ nodes, edges }: DefinitionInput): Violation[] {
  const violations: Violation[] = [];
  if (nodes.length > MAX_NODES) {
    violations.push({ path: ['nodes'], message: `has ${nodes.length} nodes; at most ${MAX_NODES} are allowed` });
  }
  if (edges.length > MAX_EDGES) {
    violations.push({ path: ['edges'], message: `has ${edges.length} edges; at most ${MAX_EDGES} are allowed` });
  }
  return violations;
}

function checkIds({ nodes }: DefinitionInput): Violation[] {
  return repeated(nodes, (node) => node.id).map(([index, first]) => ({
    path: ['nodes', index, 'id'],
    message: `is the id of nodes[${first}] already; each node needs one of its own`,
  }));
}

/** An object is one node's, within a workflow as between workflows. */
function checkObjects({ nodes }: DefinitionInput): Violation[] {
  return repeated(nodes, ({ manifest }) => objectKey(manifest)).map(([index, first]) => ({
    path: ['nodes', index, 'manifest', 'metadata', 'name'],
    message: `is the object of nodes[${first}] (${nodes[first]?.id}) already; one object belongs to one node`,
  }));
}

function objectKey(manifest: unknown): string | undefined {
  const kind = kindOfManifest(manifest);
  if (kind === undefined || !isJsonObject(manifest) || !isJsonObject(manifest['metadata'])) return undefined;
  const { name } = manifest['metadata'];
  return typeof name === 'string' ? `${kind.kind} ${name}` : undefined;
}

function kindOfManifest(manifest: unknown): KindDefinition | undefined {
  if (!isJsonObject(manifest) || typeof manifest['kind'] !== 'string') return undefined;
  const kind = findKind(manifest['kind']);
  return kind !== undefined && manifest['apiVersion'] === apiVersionOf(kind) ? kind : undefined;
}

function checkEdges({ nodes, edges }: DefinitionInput): Violation[] {
  const ids = new Set(nodes.map((node) => node.id));
  const violations: Violation[] = [];
  edges.forEach((edge, index) => {
    for (const end of ['source', 'target'] as const) {
      if (!ids.has(edge[end])) violations.push({ path: ['edges', index, end], message: 'is not the id of a node' });
    }
    if (edge.source === edge.target) {
      violations.push({ path: ['edges', index], message: 'leads from a node to itself; remove it' });
    }
  });
  for (const [index, first] of repeated(edges, (edge) => `${edge.source} ${edge.target}`)) {
    violations.push({
      path: ['edges', index],
      message: `connects the nodes of edges[${first}] again; keep one of them`,
    });
  }
  return violations.length > 0 ? violations : checkCycles([...ids], edges);
}

function checkCycles(ids: readonly string[], edges: DefinitionInput['edges']): Violation[] {
  const cycle = findCycle(ids, edges);
  if (cycle === null) return [];
  const last = edges.findIndex((edge) => edge.source === cycle.at(-2) && edge.target === cycle.at(-1));
  return [{ path: ['edges', last], message: `closes the cycle ${cycle.join(' -> ')}; remove one of its edges` }];
}

/** Index of each item that repeats an earlier one, with the index of the earliest. Items without a key are passed over. */
function repeated<T>(items: readonly T[], keyOf: (item: T) => string | undefined): Array<[number, number]> {
  const firstByKey = new Map<string, number>();
  const found: Array<[number, number]> = [];
  items.forEach((item, index) => {
    const key = keyOf(item);
    if (key === undefined) return;
    const first = firstByKey.get(key);
    if (first === undefined) firstByKey.set(key, index);
    else found.push([index, first]);
  });
  return found;
}
