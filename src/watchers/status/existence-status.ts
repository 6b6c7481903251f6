import type { StatusDraft } from './extract-context.js';

/** ConfigMaps and Secrets have no status, and their data is never asked for: what exists is healthy. */
export function existenceStatus(): StatusDraft {
  return { health: 'healthy' };
}
