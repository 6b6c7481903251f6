import { Inject, Injectable } from '@nestjs/common';
import { SEALED_MARKER, Sealer } from '../sealing/index.js';
import { isJsonObject } from './definition/json-structure.js';
import type { Violation } from './definition/violation.js';
import type { Manifest, WorkflowNode } from './workflow.js';

/** Whose Secret values they are: bound into each, so that none can be opened as another's. */
export interface SecretOwner {
  readonly tenantId: string;
  /** Of the workflow. */
  readonly id: string;
}

const FIELDS = ['data', 'stringData'] as const;

/** Seals, opens and masks the values of Secret manifests; every other manifest passes through. */
@Injectable()
export class WorkflowSecrets {
  constructor(@Inject(Sealer) private readonly sealer: Pick<Sealer, 'seal' | 'open'>) {}

  /**
   * Nodes as they are stored. A value that is `SEALED_MARKER` stays what it was in the stored node of the same id, and
   * so does, sealed, one that equals it. Markers without a stored value come back as violations.
   */
  seal(
    owner: SecretOwner,
    nodes: readonly WorkflowNode[],
    stored: readonly WorkflowNode[] = [],
  ): { readonly nodes: WorkflowNode[]; readonly violations: Violation[] } {
    const storedById = new Map(stored.map((node) => [node.id, node.manifest]));
    const violations: Violation[] = [];
    const sealed = nodes.map((node, index) => {
      const manifest = mapValues(node.manifest, (value, field, key) => {
        const context = contextOf(owner, node.id, field, key);
        const kept = valueOf(storedById.get(node.id), field, key);
        if (kept !== undefined && (value === SEALED_MARKER || this.opensTo(kept, context, value))) return kept;
        if (value !== SEALED_MARKER) return this.sealer.seal(value, context);
        const path = ['nodes', index, 'manifest', field, key];
        violations.push({ path, message: `has no stored value that ${SEALED_MARKER} could keep; give the value` });
        return value;
      });
      return { ...node, manifest };
    });
    return { nodes: sealed, violations };
  }

  /** The manifest as the user gave it, for the API server alone. Throws SealError if a value cannot be opened. */
  open(owner: SecretOwner, node: WorkflowNode): Manifest {
    return mapValues(node.manifest, (value, field, key) =>
      this.sealer.open(value, contextOf(owner, node.id, field, key)),
    );
  }

  private opensTo(sealed: string, context: readonly string[], value: string): boolean {
    try {
      return this.sealer.open(sealed, context) === value;
    } catch {
      // Sealed with a key that is gone: the new value replaces it.
      return false;
    }
  }
}

/** The node as answers show it. */
export function maskSecrets(node: WorkflowNode): WorkflowNode {
  return { ...node, manifest: mapValues(node.manifest, () => SEALED_MARKER) };
}

function contextOf(owner: SecretOwner, nodeId: string, field: string, key: string): string[] {
  return ['workflow', owner.tenantId, owner.id, nodeId, field, key];
}

function valueOf(manifest: Manifest | undefined, field: string, key: string): string | undefined {
  const values = manifest?.kind === 'Secret' ? manifest[field] : undefined;
  const value = isJsonObject(values) && Object.hasOwn(values, key) ? values[key] : undefined;
  return typeof value === 'string' ? value : undefined;
}

function mapValues(manifest: Manifest, map: (value: string, field: string, key: string) => string): Manifest {
  if (manifest.kind !== 'Secret') return manifest;
  const mapped: Record<string, unknown> = {};
  for (const field of FIELDS) {
    const values = manifest[field];
    if (!isJsonObject(values)) continue;
    // Checked to be texts before they came here.
    const entries = Object.entries(values).map(([key, value]) => [key, map(String(value), field, key)]);
    mapped[field] = Object.fromEntries(entries);
  }
  return { ...manifest, ...mapped };
}
