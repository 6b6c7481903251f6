import { ALL_TENANTS, type Scope } from '../../auth/principal.js';
import type { BusEvent } from '../bus/bus-event.js';

/**
 * Whether the event may be shown within the scope. A tenant sees the events whose payload names it, itself or in the one
 * thing that it is about (`{ resource: { tenantId, … } }`); an event that names no tenant is for those of all tenants.
 */
export function isVisible({ payload }: Pick<BusEvent, 'payload'>, scope: Scope): boolean {
  return scope.tenantId === ALL_TENANTS || tenantOf(payload) === scope.tenantId;
}

function tenantOf(payload: unknown): unknown {
  if (!isRecord(payload)) return undefined;
  if ('tenantId' in payload) return payload['tenantId'];
  const things = Object.values(payload).filter(isRecord);
  const [thing] = things;
  return things.length === 1 ? thing?.['tenantId'] : undefined;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
