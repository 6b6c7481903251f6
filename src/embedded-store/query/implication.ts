import { compareValues, sameBracket, valuesEqual } from './bson-compare.js';
import { type FilterNode, type Leaf, conjuncts } from './filter.js';

const UPPER = ['$lt', '$lte'];
const LOWER = ['$gt', '$gte'];

function boundImplies(given: Leaf, needed: Leaf): boolean {
  const sides = [UPPER, LOWER].find((side) => side.includes(given.operator) && side.includes(needed.operator));
  if (!sides || !sameBracket(given.operand, needed.operand)) return false;
  const order = compareValues(given.operand, needed.operand) * (sides === UPPER ? 1 : -1);
  return order < 0 || (order === 0 && (given.operator === needed.operator || needed.operator.endsWith('e')));
}

const isScalar = (value: unknown): boolean => typeof value !== 'object' || value === null || !Array.isArray(value);

function leafImplies(given: Leaf, needed: Leaf): boolean {
  if (given.path !== needed.path) return false;
  if (given.operator === needed.operator && valuesEqual(given.operand, needed.operand)) return true;
  const nested = (value: unknown): unknown =>
    given.parts.reduceRight((inner: unknown, part) => ({ [part]: inner }), value);
  // A missing field equals null too, and must be tried as what it is.
  const holdsFor = (value: unknown): boolean =>
    isScalar(value) && needed.test(nested(value)) && (value !== null || needed.test({}));
  if (given.operator === '$eq') return holdsFor(given.operand);
  if (given.operator === '$in' && Array.isArray(given.operand)) return given.operand.every(holdsFor);
  if (needed.operator === '$exists') return !given.test({}) && needed.test(nested(true));
  return boundImplies(given, needed);
}

/** Whether every document that meets `filter` meets `needed`, as far as that can be told from single conditions. */
export function implies(filter: FilterNode, needed: FilterNode): boolean {
  const given = conjuncts(filter).filter((node): node is Leaf => node.kind === 'leaf');
  return conjuncts(needed).every((node) => {
    if (node.kind === 'or') return node.children.some((child) => implies(filter, child));
    return node.kind === 'leaf' && given.some((leaf) => leafImplies(leaf, node));
  });
}
