import { readObject, readObjects, readStringMap, readStrings, readText } from './json-reader.js';

/** A Kubernetes label selector; an empty one selects everything. */
export interface LabelSelector {
  readonly labels: Readonly<Record<string, string>> | null;
  readonly expressions: readonly LabelExpression[];
}

export interface LabelExpression {
  readonly key: string;
  readonly operator: string;
  readonly values: readonly string[];
}

const NO_EXPRESSIONS: readonly LabelExpression[] = Object.freeze([]);

/** Of `{matchLabels, matchExpressions}`. */
export function readLabelSelector(value: unknown): LabelSelector {
  const raw = readObject(value);
  const expressions = readObjects(raw.matchExpressions)
    .slice(0, 32)
    .map((each) => ({
      key: readText(each.key) ?? '',
      operator: readText(each.operator) ?? '',
      values: readStrings(each.values).slice(0, 64),
    }));
  return {
    labels: readStringMap(raw.matchLabels),
    expressions: expressions.length === 0 ? NO_EXPRESSIONS : expressions,
  };
}

/** Whether the labels meet every requirement; an operator nobody knows is never met. */
export function matchesSelector(selector: LabelSelector, labels: Readonly<Record<string, string>> | null): boolean {
  const has = (key: string): boolean => labels !== null && Object.hasOwn(labels, key);
  const pairs = Object.entries(selector.labels ?? {});
  if (!pairs.every(([key, value]) => has(key) && labels?.[key] === value)) return false;
  return selector.expressions.every(({ key, operator, values }) => {
    const listed = has(key) && values.includes(labels?.[key] ?? '');
    if (operator === 'In') return listed;
    if (operator === 'NotIn') return !listed;
    if (operator === 'Exists') return has(key);
    return operator === 'DoesNotExist' && !has(key);
  });
}
