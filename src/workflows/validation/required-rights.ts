import { findKind, type KindDefinition } from '../../kubernetes/index.js';
import { statusDependencies } from '../../watchers/status/extract-status.js';
import type { WorkflowDefinition } from '../workflow.js';
import type { Problem } from './validator.js';

/** In the order in which rules are written. */
export const VERBS = ['get', 'list', 'watch', 'create', 'patch', 'delete'] as const;
export type Verb = (typeof VERBS)[number];

/** What the credential has to be allowed for one kind in the workflow's namespace. */
export interface RequiredRights {
  readonly definition: KindDefinition;
  readonly verbs: ReadonlyMap<Verb, Problem['severity']>;
  /** The workflow's own objects of this kind. */
  readonly objects: ReadonlyArray<{ readonly nodeId: string; readonly name: string }>;
}

interface Collected extends RequiredRights {
  readonly verbs: Map<Verb, Problem['severity']>;
  readonly objects: Array<{ readonly nodeId: string; readonly name: string }>;
}

/**
 * What runs and watches of a workflow need. An execution fails without what it applies with, and without sight of what an
 * edge waits for; what else is missing only leaves health unknown, or objects behind when the workflow is archived.
 */
export function requiredRights({ nodes, edges }: WorkflowDefinition): RequiredRights[] {
  const byKind = new Map<string, Collected>();
  const rightsOf = (kind: string): Collected | undefined => {
    const definition = findKind(kind);
    if (definition === undefined) return undefined;
    const rights = byKind.get(kind) ?? { definition, verbs: new Map(), objects: [] };
    byKind.set(kind, rights);
    return rights;
  };
  const awaited = new Set(edges.filter(({ waitFor }) => waitFor === 'healthy').map(({ source }) => source));
  for (const { id, manifest } of nodes) {
    const own = rightsOf(manifest.kind);
    if (own === undefined) continue;
    own.objects.push({ nodeId: id, name: manifest.metadata.name });
    need(own, ['get', 'create', 'patch'], 'error');
    need(own, ['list', 'watch'], awaited.has(id) ? 'error' : 'warning');
    need(own, ['delete'], 'warning');
    for (const kind of statusDependencies(manifest.kind)) {
      const seen = rightsOf(kind);
      if (seen !== undefined) need(seen, ['list', 'watch'], 'warning');
    }
  }
  return [...byKind.values()];
}

function need({ verbs }: Collected, needed: readonly Verb[], severity: Problem['severity']): void {
  for (const verb of needed) if (verbs.get(verb) !== 'error') verbs.set(verb, severity);
}
