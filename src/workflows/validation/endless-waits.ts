import { findKind } from '../../kubernetes/index.js';
import { readObject, readText } from '../../watchers/status/json-reader.js';
import type { WorkflowDefinition, WorkflowNode } from '../workflow.js';
import { needsOfPods, podTemplateOf, type PodTemplate } from './pod-templates.js';
import { warningProblem } from './problem.js';
import { podSelectionOf, selectedNodes, templatesOf } from './selected-pods.js';
import type { Problem } from './validator.js';

/** What a node cannot become healthy without: one of these nodes. */
interface Prerequisite {
  readonly what: string;
  readonly oneOf: readonly string[];
}

/**
 * Edges that wait for the health of a node that gets it only from nodes behind that very edge: without help from outside
 * the wait ends with its timeout.
 */
export function endlessWaits(workflow: Pick<WorkflowDefinition, 'nodes' | 'edges'>): Problem[] {
  const templates = templatesOf(workflow);
  return workflow.nodes.flatMap((node): Problem[] => {
    const awaiting = workflow.edges.findIndex(({ source, waitFor }) => source === node.id && waitFor === 'healthy');
    if (awaiting < 0) return [];
    const behind = nodesBehind(node.id, workflow);
    return prerequisitesOf(node, workflow.nodes, templates)
      .filter(({ oneOf }) => oneOf.length > 0 && oneOf.every((id) => behind.has(id)))
      .map(({ what, oneOf }) =>
        warningProblem(
          `the wait for the health of ${node.id} may never end: ${what} (${oneOf.join(', ')}) and comes after it`,
          {
            nodeId: node.id,
            path: `edges[${awaiting}].waitFor`,
            hint: `turn the edge round, or wait for "applied"`,
          },
        ),
      );
  });
}

/** Whatever does not begin before the node is healthy. */
function nodesBehind(id: string, { edges }: Pick<WorkflowDefinition, 'edges'>): Set<string> {
  const behind = new Set<string>();
  const remaining = edges.filter(({ source, waitFor }) => source === id && waitFor === 'healthy').map((e) => e.target);
  for (let next = remaining.pop(); next !== undefined; next = remaining.pop()) {
    if (behind.has(next)) continue;
    behind.add(next);
    for (const { source, target } of edges) if (source === next) remaining.push(target);
  }
  return behind;
}

function prerequisitesOf(
  node: WorkflowNode,
  nodes: readonly WorkflowNode[],
  templates: readonly PodTemplate[],
): Prerequisite[] {
  const { manifest } = node;
  if (manifest.kind === 'Service') return servicePods(node, templates);
  if (manifest.kind === 'HorizontalPodAutoscaler') return scaleTarget(node, nodes);
  const template = podTemplateOf(node);
  // A CronJob is healthy without ever having run.
  if (template === null || manifest.kind === 'CronJob') return [];
  return needsOfPods(template).map(({ kind, name }) => ({
    what: `its pods need ${kind} ${name}, which is another node`,
    oneOf: idsOf(nodes, kind, name),
  }));
}

/** A Service is healthy with a first ready pod behind it; one without a cluster IP is so without. */
function servicePods(node: WorkflowNode, templates: readonly PodTemplate[]): Prerequisite[] {
  const selection = podSelectionOf(node);
  const isHeadless = readText(readObject(node.manifest['spec'])['clusterIP']) === 'None';
  if (selection === null || isHeadless) return [];
  return [{ what: 'a Service needs a ready pod, which other nodes make', oneOf: selectedNodes(selection, templates) }];
}

function scaleTarget({ manifest }: WorkflowNode, nodes: readonly WorkflowNode[]): Prerequisite[] {
  const target = readObject(readObject(manifest['spec'])['scaleTargetRef']);
  const kind = readText(target['kind']);
  const name = readText(target['name']);
  if (kind === null || name === null) return [];
  return [{ what: `it scales ${kind} ${name}, which is another node`, oneOf: idsOf(nodes, kind, name) }];
}

function idsOf(nodes: readonly WorkflowNode[], kind: string, name: string): string[] {
  if (findKind(kind) === undefined) return [];
  return nodes.filter(({ manifest }) => manifest.kind === kind && manifest.metadata.name === name).map(({ id }) => id);
}
