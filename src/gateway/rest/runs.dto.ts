import { z } from 'zod';
import { LogLevelSchema, RunStatusSchema } from '../gen/flowwatch/v1/types_pb.js';
import { MAX_METADATA_PAIRS, MAX_METADATA_PAIR_LENGTH } from '../routing/limits.js';
import { gatewayPageQuery, idQuery, repeated } from './gateway-query.js';
import { checkRange, rangeQuery } from './wire-values.js';
import { wordsOf } from './wire-words.js';

/** What runs may be ordered by, with the name that the wire has for it. */
export const RUN_ORDERS = {
  startedAt: 'started_at',
  finishedAt: 'finished_at',
  durationMs: 'duration',
  status: 'status',
  workflowId: 'workflow_id',
  foreignId: 'foreign_id',
  currentStep: 'current_step',
  domain: 'subsystem_id',
  id: 'id',
} as const;
const ORDERS = Object.keys(RUN_ORDERS) as Array<keyof typeof RUN_ORDERS>;

const metadataPair = z
  .string()
  .max(MAX_METADATA_PAIR_LENGTH)
  .regex(/^[^=]+=/, 'expected `key=value`');

export const ListGatewayRunsQuery = z
  .strictObject({
    ...gatewayPageQuery,
    workflowId: repeated(idQuery),
    status: repeated(z.enum(wordsOf(RunStatusSchema))),
    subsystemId: repeated(idQuery).meta({
      description: 'A subsystem, or a business domain that runs name. May be repeated: either will do.',
    }),
    traceId: idQuery.optional(),
    foreignId: idQuery.optional(),
    metadata: repeated(metadataPair, MAX_METADATA_PAIRS).meta({
      description: '`key=value`. May be repeated: all of them must match.',
    }),
    ...rangeQuery,
    orderBy: z.enum(ORDERS).default('startedAt'),
    descending: z
      .enum(['true', 'false'])
      .default('true')
      .transform((text) => text === 'true'),
  })
  .superRefine(checkRange);
export type ListGatewayRunsQuery = z.infer<typeof ListGatewayRunsQuery>;

export const ListGatewayLogsQuery = z.strictObject({
  ...gatewayPageQuery,
  stepName: idQuery.optional(),
  level: repeated(z.enum(wordsOf(LogLevelSchema))),
});
export type ListGatewayLogsQuery = z.infer<typeof ListGatewayLogsQuery>;
