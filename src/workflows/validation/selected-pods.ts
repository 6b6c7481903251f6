import { matchesSelector, type LabelSelector } from '../../watchers/status/extract-status.js';
import { readLabelSelector } from '../../watchers/status/label-selector.js';
import { readObject, readStringMap, readText } from '../../watchers/status/json-reader.js';
import type { WorkflowDefinition, WorkflowNode } from '../workflow.js';
import { podTemplateOf, type PodTemplate } from './pod-templates.js';
import { warningProblem } from './problem.js';
import type { Problem } from './validator.js';

/** Pods that a Service or NetworkPolicy selects. */
export interface PodSelection {
  readonly selector: LabelSelector;
  /** Of the selector, below the manifest. */
  readonly path: string;
}

/** null for what selects no pods by labels. */
export function podSelectionOf({ manifest }: Pick<WorkflowNode, 'manifest'>): PodSelection | null {
  const spec = readObject(manifest['spec']);
  if (manifest.kind === 'Service') {
    const labels = readStringMap(spec['selector']);
    const isExternal = readText(spec['type']) === 'ExternalName';
    return labels === null || isExternal ? null : { selector: { labels, expressions: [] }, path: 'spec.selector' };
  }
  if (manifest.kind === 'NetworkPolicy') {
    return { selector: readLabelSelector(spec['podSelector']), path: 'spec.podSelector' };
  }
  return null;
}

export function templatesOf({ nodes }: Pick<WorkflowDefinition, 'nodes'>): PodTemplate[] {
  return nodes.map(podTemplateOf).filter((template) => template !== null);
}

/** Ids of the nodes whose pods are selected. */
export function selectedNodes({ selector }: PodSelection, templates: readonly PodTemplate[]): string[] {
  return templates.filter(({ labels }) => matchesSelector(selector, labels)).map(({ nodeId }) => nodeId);
}

/** Selectors that meet none of the workflow's pods. Others' pods may be meant, so none is an error. */
export function unmetSelectors(workflow: Pick<WorkflowDefinition, 'nodes'>): Problem[] {
  const templates = templatesOf(workflow);
  return workflow.nodes.flatMap((node, index) => {
    const selection = podSelectionOf(node);
    if (selection === null || isForAll(selection) || selectedNodes(selection, templates).length > 0) return [];
    const message = `the selector of ${node.manifest.kind} ${node.manifest.metadata.name} meets no pod of the workflow`;
    return [
      warningProblem(message, {
        nodeId: node.id,
        path: `nodes[${index}].manifest.${selection.path}`,
        hint: 'compare it with the labels of the pod templates, unless pods from elsewhere are meant',
      }),
    ];
  });
}

/** An empty selector of a policy is meant for whatever is in the namespace. */
function isForAll({ selector }: PodSelection): boolean {
  return selector.labels === null && selector.expressions.length === 0;
}
