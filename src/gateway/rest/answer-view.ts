import { z } from 'zod';
import type { Answer, AnswerNote, FailureReason } from '../routing/answer.js';

const REASONS = [
  'connecting',
  'stale',
  'timeout',
  'unreachable',
  'oversized',
  'unimplemented',
  'failed',
] as const satisfies readonly FailureReason[];
const NOTES = ['unstable', 'approximate'] as const satisfies readonly AnswerNote[];

const warning = z
  .object({ subsystemId: z.string(), reason: z.enum(REASONS) })
  .meta({ id: 'GatewayWarning', description: 'A subsystem whose part is missing, and why.' });

/** What every answer of many subsystems says of itself, to be spread into its schema. */
export const told = {
  warnings: z.array(warning).meta({ description: 'Subsystems whose part is missing.' }),
  notes: z.array(z.enum(NOTES)).meta({
    description:
      '`unstable`: pages may repeat or skip. `approximate`: percentiles or rates that could not be merged exactly.',
  }),
};

export interface Told {
  warnings: Array<{ subsystemId: string; reason: FailureReason }>;
  notes: AnswerNote[];
}

export function toldBy({ failures, notes }: Pick<Answer<unknown>, 'failures' | 'notes'>): Told {
  return { warnings: failures.map(({ subsystemId, reason }) => ({ subsystemId, reason })), notes: [...notes] };
}

/** Schema of a page over many subsystems. */
export function gatewayPageSchema<T extends z.ZodType>(item: T, id: string) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable(), ...told }).meta({ id });
}

/** Schema of a page that knows how many there are on all of them. */
export function countedPageSchema<T extends z.ZodType>(item: T, id: string) {
  const totalCount = z.int().nullable().meta({ description: 'On all pages; null if not every subsystem says it.' });
  return z.object({ items: z.array(item), nextCursor: z.string().nullable(), totalCount, ...told }).meta({ id });
}

/** 0 is "not told" on the wire, unless there is nothing to count and nobody is missing. */
export function totalOf(
  pagination: { readonly totalCount: number; readonly nextCursor: string } | undefined,
  items: readonly unknown[],
  { failures }: Pick<Answer<unknown>, 'failures'>,
): number | null {
  const { totalCount = 0, nextCursor = '' } = pagination ?? {};
  if (totalCount > 0) return totalCount;
  return items.length === 0 && nextCursor === '' && failures.length === 0 ? 0 : null;
}
