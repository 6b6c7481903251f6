import type { Freshness, Health, Resource } from '../resource.js';
import type { ResourceDocument } from './resource.schema.js';

/** Healths that must not be told unless a watch stands behind them. */
export const NEEDS_FRESHNESS: readonly Health[] = ['healthy', 'completed'];

/** What is shown as health: nobody is told `healthy` from data that is not live. */
export function shownHealth(health: Health, freshness: Freshness): Health {
  return freshness !== 'live' && NEEDS_FRESHNESS.includes(health) ? 'unknown' : health;
}

/** The resource as the API shows it. */
export function toResource(document: ResourceDocument): Resource {
  const { health, freshness } = document;
  const hidden = shownHealth(health, freshness) !== health;
  return {
    id: document._id.toString(),
    tenantId: document.tenantId,
    workflowId: document.workflowId.toString(),
    nodeId: document.nodeId,
    clusterId: document.clusterId.toString(),
    uid: document.uid,
    apiVersion: document.apiVersion,
    kind: document.kind,
    namespace: document.namespace,
    name: document.name,
    health: hidden ? 'unknown' : health,
    rollout: document.rollout,
    reason: hidden ? 'Stale' : document.reason,
    message: hidden ? staleMessage(document) : document.message,
    details: document.details,
    children: document.children,
    since: (hidden ? document.freshnessSince : document.since).toISOString(),
    previous: hidden ? health : document.previous,
    freshness,
    version: document.version,
    updatedAt: document.updatedAt.toISOString(),
  };
}

function staleMessage(document: ResourceDocument): string {
  const { health, since, freshness, freshnessSince, watched } = document;
  const last = `last known: ${health} since ${since.toISOString()}`;
  if (!watched) return `${last}; it is no longer watched`;
  return freshness === 'syncing'
    ? `${last}; it is being listed since ${freshnessSince.toISOString()}`
    : `${last}; nothing was heard of it since ${freshnessSince.toISOString()}`;
}
