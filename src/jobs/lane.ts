import { type Requirement, parseLabelSelector } from '../http/label-selector.js';
import type { Pool } from '../tenants/index.js';
import { MAX_JSON_BYTES } from './job.js';

/** Stands in no tenant's name and in no label selector. */
const SEPARATOR = '|';
const AFTER_SEPARATOR = '}';
const LARGE = `${SEPARATOR}large`;
/** A payload with more bytes of JSON is large. */
export const SMALL_PAYLOAD_BYTES = 32 * 1024;

/**
 * Jobs that the same agents may take: those of one pool, of one tenant in the pool of tenants, with the same
 * requirements. So a claim asks for equality of lanes, and never compares labels with jobs. Large payloads have lanes of
 * their own, so that it is known before they are read how much they can be.
 */
export function laneOf(pool: Pool, tenantId: string, requires: string, payloadBytes: number): string {
  return `${lanesOf(pool, tenantId)}${requires}${payloadBytes > SMALL_PAYLOAD_BYTES ? LARGE : ''}`;
}

/** Bytes that the payload of a job in the lane has at most. */
export function payloadBoundOf(lane: string): number {
  return lane.endsWith(LARGE) ? MAX_JSON_BYTES : SMALL_PAYLOAD_BYTES;
}

/** What the lanes begin with that an agent may serve if its labels fit. */
export function lanesOf(pool: Pool, tenantId: string): string {
  return [pool, pool === 'tenant' ? tenantId : '', ''].join(SEPARATOR);
}

/** The first string after all that begin so. */
export function endOfLanes(prefix: string): string {
  return prefix.slice(0, -SEPARATOR.length) + AFTER_SEPARATOR;
}

export function requirementsOfLane(lane: string): string {
  return lane.split(SEPARATOR)[2] ?? '';
}

export function lanePrefixOf(lane: string): string {
  const [pool = '', tenantId = ''] = lane.split(SEPARATOR);
  return [pool, tenantId, ''].join(SEPARATOR);
}

/** The same text for all selectors that say the same in another order. @throws Error that names what cannot be read. */
export function canonicalSelector(text: string): string {
  const parts = parseLabelSelector(text).map(canonicalRequirement);
  return [...new Set(parts)].toSorted(byText).join(',');
}

/** As in Kubernetes, `!=` and `notin` also match where there is no such label. */
export function selects(selector: string, labels: Readonly<Record<string, string>>): boolean {
  return parseLabelSelector(selector).every((requirement) => meets(requirement, labels));
}

function canonicalRequirement(requirement: Requirement): string {
  const { key, operator } = requirement;
  if (!('values' in requirement)) return operator === 'exists' ? key : `!${key}`;
  const values = [...new Set(requirement.values)].toSorted(byText);
  if (values.length === 1) return `${key}${operator === 'in' ? '=' : '!='}${values[0]}`;
  return `${key} ${operator} (${values.join(',')})`;
}

function meets(requirement: Requirement, labels: Readonly<Record<string, string>>): boolean {
  const value = Object.hasOwn(labels, requirement.key) ? labels[requirement.key] : undefined;
  switch (requirement.operator) {
    case 'exists':
      return value !== undefined;
    case 'absent':
      return value === undefined;
    case 'in':
      return value !== undefined && requirement.values.includes(value);
    case 'notin':
      return value === undefined || !requirement.values.includes(value);
  }
}

function byText(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
