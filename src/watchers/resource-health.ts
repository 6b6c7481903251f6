import type { Health } from './resource.js';

/** Worst first: what a workflow's health is taken from. */
const BY_SEVERITY: readonly Health[] = [
  'degraded',
  'missing',
  'unknown',
  'terminating',
  'progressing',
  'pending',
  'suspended',
  'healthy',
  'completed',
  'deleted',
];

export interface HealthSummary {
  /** The worst one; null without resources. */
  readonly health: Health | null;
  /** When that health began; null without resources. */
  readonly since: Date | null;
  /** Resources by health, only those above zero. */
  readonly counts: Readonly<Partial<Record<Health, number>>>;
}

/** Resources of one health, with the first and last time at which one of them came into it. */
export interface HealthGroup {
  readonly health: Health;
  readonly count: number;
  readonly firstSince: Date;
  readonly lastSince: Date;
}

/** Sums groups up to the worst health. Several groups of one health are legal. */
export function summarizeHealth(groups: readonly HealthGroup[]): HealthSummary {
  const counts: Partial<Record<Health, number>> = {};
  for (const { health, count } of groups) counts[health] = (counts[health] ?? 0) + count;
  const health = BY_SEVERITY.find((each) => counts[each] !== undefined) ?? null;
  if (health === null) return { health, since: null, counts };
  // Trouble began with the first that had it; all is well only since the last one became so.
  const wellSince = BY_SEVERITY.indexOf(health) >= BY_SEVERITY.indexOf('healthy');
  const times = wellSince
    ? groups.map((group) => group.lastSince.getTime())
    : groups.filter((group) => group.health === health).map((group) => group.firstSince.getTime());
  return { health, since: new Date(wellSince ? Math.max(...times) : Math.min(...times)), counts };
}
