import { AppError, type FieldError } from '../../errors/app-error.js';
import { formatPath } from '../../http/issues.js';
import { findKind } from '../../kubernetes/kinds.js';
import { MAX_NODES } from './definition-rules.js';
import { isJsonObject } from './json-structure.js';
import { parseStrictYaml, YamlError, type YamlDocument } from '../../runtime/strict-yaml.js';
import type { Path, Violation } from './violation.js';

export interface YamlNode {
  readonly id: string;
  readonly manifest: unknown;
}

/** Nodes read from YAML. */
export interface YamlDefinition {
  readonly nodes: readonly YamlNode[];
  /** Tells violations of `nodes[i].manifest…` in terms of the text: `documents[2].spec`, with the line. */
  readonly locate: (violations: readonly Violation[]) => FieldError[];
}

interface Place {
  readonly document: YamlDocument;
  /** `documents[2]`, or `documents[2].items[0]` within a `kind: List`. */
  readonly outer: Path;
  /** Below the document. */
  readonly inner: Path;
}

/**
 * One node per object of a multi-document YAML text, in their order; the items of a `kind: List` are objects of their
 * own. Node ids are `<kind>-<name>` as DNS labels, made unique by a number.
 *
 * @throws AppError request.invalid with the line of what is not readable.
 */
export function parseWorkflowYaml(text: string): YamlDefinition {
  const documents = readDocuments(text);
  const objects = documents.flatMap(unfold);
  if (objects.length > MAX_NODES) {
    throw AppError.invalid([{ path: '', message: `has ${objects.length} objects; at most ${MAX_NODES} are allowed` }]);
  }
  const ids = new Set<string>();
  const nodes = objects.map(({ manifest }) => ({ id: uniqueId(nodeIdOf(manifest), ids), manifest }));
  return { nodes, locate: (violations) => violations.map((violation) => toFieldError(violation, objects)) };
}

function readDocuments(text: string): YamlDocument[] {
  try {
    const documents = parseStrictYaml(text);
    if (documents.length === 0) {
      throw AppError.invalid([{ path: '', message: 'expected at least one YAML document with a Kubernetes object' }]);
    }
    return documents;
  } catch (error) {
    if (!(error instanceof YamlError)) throw error;
    throw AppError.invalid([{ path: '', message: `line ${error.line}: ${error.message}` }]);
  }
}

function unfold(document: YamlDocument, index: number): Array<{ manifest: unknown; place: Place }> {
  const outer = ['documents', index];
  const { value } = document;
  if (!isJsonObject(value) || value['kind'] !== 'List' || !Array.isArray(value['items'])) {
    return [{ manifest: value, place: { document, outer, inner: [] } }];
  }
  return value['items'].map((manifest: unknown, item) => ({
    manifest,
    place: { document, outer: [...outer, 'items', item], inner: ['items', item] },
  }));
}

function toFieldError(violation: Violation, objects: ReadonlyArray<{ place: Place }>): FieldError {
  const [list, index, , ...rest] = violation.path;
  const place = list === 'nodes' && typeof index === 'number' ? objects[index]?.place : undefined;
  if (place === undefined) return { path: formatPath(violation.path), message: violation.message };
  const line = place.document.lineOf([...place.inner, ...rest]);
  return { path: formatPath([...place.outer, ...rest]), message: `line ${line}: ${violation.message}` };
}

const MAX_ID_LENGTH = 63;

function nodeIdOf(manifest: unknown): string {
  if (!isJsonObject(manifest) || !isJsonObject(manifest['metadata'])) return 'node';
  const { kind, metadata } = manifest;
  const known = typeof kind === 'string' ? findKind(kind) : undefined;
  return toLabel(`${known?.kind ?? 'node'}-${typeof metadata['name'] === 'string' ? metadata['name'] : ''}`);
}

function toLabel(text: string, maxLength = MAX_ID_LENGTH): string {
  return text
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, '-')
    .slice(0, maxLength)
    .replace(/^-|-$/g, '');
}

function uniqueId(wanted: string, taken: Set<string>): string {
  let id = wanted;
  for (let count = 2; taken.has(id); count += 1) {
    const suffix = `-${count}`;
    id = `${toLabel(wanted, MAX_ID_LENGTH - suffix.length)}${suffix}`;
  }
  taken.add(id);
  return id;
}
