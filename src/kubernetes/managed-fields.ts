import type { ManagedFieldsEntry } from './object-meta.js';

export interface FieldManager {
  readonly manager: string;
  readonly operation: 'Apply' | 'Update';
  /** `scale` for kubectl scale and autoscalers, `status` for controllers; undefined for the object itself. */
  readonly subresource: string | undefined;
}

/**
 * Who owns a field, by its path of plain names: `['spec', 'replicas']`. Entries of lists have keys of another form
 * (`k:{…}`) and are not looked into.
 */
export function managersOf(
  entries: readonly ManagedFieldsEntry[] = [],
  path: readonly string[],
): readonly FieldManager[] {
  return entries.filter((entry) => owns(entry.fieldsV1, path)).map(managerOf);
}

/** Everyone who has ever written to the object, without repeats, for saying whose it is. */
export function managerNames(entries: readonly ManagedFieldsEntry[] = []): readonly string[] {
  return [...new Set(entries.map((entry) => managerOf(entry).manager))];
}

function managerOf(entry: ManagedFieldsEntry): FieldManager {
  return {
    manager: entry.manager ?? 'unknown',
    operation: entry.operation ?? 'Update',
    subresource: entry.subresource === '' ? undefined : entry.subresource,
  };
}

function owns(fields: unknown, path: readonly string[]): boolean {
  let current = fields;
  for (const name of path) {
    if (typeof current !== 'object' || current === null || !Object.hasOwn(current, `f:${name}`)) return false;
    current = (current as Record<string, unknown>)[`f:${name}`];
  }
  return current !== undefined;
}
