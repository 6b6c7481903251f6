import { z } from 'zod';

const NAME = /^[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?$/;
const PREFIX = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/;

/** https://kubernetes.io/docs/concepts/overview/working-with-objects/labels/#syntax-and-character-set */
export function isLabelKey(key: string): boolean {
  const [name = '', prefix, ...rest] = key.split('/').toReversed();
  return rest.length === 0 && NAME.test(name) && (prefix === undefined || PREFIX.test(prefix));
}

export function isLabelValue(value: string): boolean {
  return value === '' || NAME.test(value);
}

/** Labels in the API: an object of strings with Kubernetes' syntax. */
export const labelsSchema = z
  .record(z.string(), z.string())
  .superRefine((labels, context) => {
    for (const [key, value] of Object.entries(labels)) {
      if (!isLabelKey(key)) context.addIssue({ code: 'custom', path: [key], message: 'is not a label key' });
      else if (!isLabelValue(value)) context.addIssue({ code: 'custom', path: [key], message: 'is not a label value' });
    }
  })
  .refine((labels) => Object.keys(labels).length <= 64, 'expected at most 64 labels');

/** Labels as they are stored: keys may hold dots and dollars, which are operators in field names. */
export interface StoredLabel {
  readonly key: string;
  readonly value: string;
}

export function toStoredLabels(labels: Readonly<Record<string, string>>): StoredLabel[] {
  return Object.entries(labels)
    .map(([key, value]) => ({ key, value }))
    .toSorted((a, b) => (a.key < b.key ? -1 : 1));
}

export function fromStoredLabels(stored: readonly StoredLabel[]): Record<string, string> {
  return Object.fromEntries(stored.map(({ key, value }) => [key, value]));
}
