import { z } from 'zod';
import { isLabelKey, isLabelValue } from './labels.js';

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#label-selectors */
export type Requirement =
  | { readonly key: string; readonly operator: 'in' | 'notin'; readonly values: readonly string[] }
  | { readonly key: string; readonly operator: 'exists' | 'absent' };

const SET = /^(\S+)\s+(in|notin)\s*\(([^()]*)\)$/;
const EQUALITY = /^([^\s!=]+)\s*(==|=|!=)\s*(\S*)$/;

/** `env=prod,tier!=db,app in (a, b),!legacy,team`. Throws an Error that names the part it cannot read. */
export function parseLabelSelector(text: string): readonly Requirement[] {
  return splitRequirements(text).map(parseRequirement);
}

/** At commas outside of parentheses. None is empty but the whole: a selector that says less than was meant selects more. */
function splitRequirements(text: string): string[] {
  if (text.trim() === '') return [];
  return text.split(/,(?![^(]*\))/).map((part) => part.trim());
}

function parseRequirement(part: string): Requirement {
  const requirement = readRequirement(part);
  const values = 'values' in requirement ? requirement.values : [];
  if (!isLabelKey(requirement.key) || !values.every(isLabelValue)) throw new Error(`cannot read "${part}"`);
  return requirement;
}

function readRequirement(part: string): Requirement {
  const [, setKey, setOperator, setValues] = SET.exec(part) ?? [];
  if (setKey !== undefined && setValues !== undefined) {
    const values = setValues.split(',').map((value) => value.trim());
    return { key: setKey, operator: setOperator === 'in' ? 'in' : 'notin', values };
  }
  const [, key, operator, value] = EQUALITY.exec(part) ?? [];
  if (key !== undefined && value !== undefined) {
    return { key, operator: operator === '!=' ? 'notin' : 'in', values: [value] };
  }
  return part.startsWith('!') ? { key: part.slice(1).trim(), operator: 'absent' } : { key: part, operator: 'exists' };
}

/** The query parameter `labelSelector`, read into its requirements. */
export const labelSelectorQuery = z
  .string()
  .max(1_024)
  .transform((text, context) => {
    try {
      return parseLabelSelector(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'cannot be read' });
      return z.NEVER;
    }
  })
  .optional();

/** Filter over labels stored as `[{key, value}]`. As in Kubernetes, `!=` and `notin` also match what has no such key. */
export function labelFilter(requirements: readonly Requirement[] = []): Record<string, unknown> {
  if (requirements.length === 0) return {};
  return { $and: requirements.map(requirementFilter) };
}

function requirementFilter(requirement: Requirement): Record<string, unknown> {
  const { key } = requirement;
  switch (requirement.operator) {
    case 'exists':
      return { labels: { $elemMatch: { key } } };
    case 'absent':
      return { labels: { $not: { $elemMatch: { key } } } };
    case 'in':
      return { labels: { $elemMatch: { key, value: { $in: requirement.values } } } };
    case 'notin':
      return { labels: { $not: { $elemMatch: { key, value: { $in: requirement.values } } } } };
  }
}
