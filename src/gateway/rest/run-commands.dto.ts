import { z } from 'zod';
import { MAX_BULK_IDS, MAX_REASON_LENGTH } from '../routing/limits.js';
import { told } from './answer-view.js';
import { idQuery } from './gateway-query.js';

const reason = z.string().max(MAX_REASON_LENGTH).default('').meta({ description: 'Why, for those who read it later.' });
const stepName = idQuery.meta({ description: 'Name of a step of the run.' });
const runIds = z.array(idQuery).min(1).max(MAX_BULK_IDS);

export const CancelGatewayRun = z
  .strictObject({ reason })
  .meta({ id: 'CancelGatewayRun', example: { reason: 'ordered twice' } });
export const OptionalCancelGatewayRun = CancelGatewayRun.optional();

export const RetryGatewayRunFromStep = z
  .strictObject({ stepName })
  .meta({ id: 'RetryGatewayRunFromStep', example: { stepName: 'charge' } });
export type RetryGatewayRunFromStep = z.infer<typeof RetryGatewayRunFromStep>;

export const SkipGatewayRunStep = z
  .strictObject({ stepName, reason })
  .meta({ id: 'SkipGatewayRunStep', example: { stepName: 'notify', reason: 'told by telephone' } });
export type SkipGatewayRunStep = z.infer<typeof SkipGatewayRunStep>;

export const RetryGatewayRuns = z
  .strictObject({ runIds })
  .meta({ id: 'RetryGatewayRuns', example: { runIds: ['run-1', 'billing~run-2'] } });
export type RetryGatewayRuns = z.infer<typeof RetryGatewayRuns>;

export const CancelGatewayRuns = z
  .strictObject({ runIds, reason })
  .meta({ id: 'CancelGatewayRuns', example: { runIds: ['run-1', 'billing~run-2'], reason: 'ordered twice' } });
export type CancelGatewayRuns = z.infer<typeof CancelGatewayRuns>;

const newRunId = z.string().nullable().meta({ description: 'Of the run that was made; null if none was.' });

export const GatewayRunCommand = z
  .object({ runId: z.string(), newRunId, ...told })
  .meta({ id: 'GatewayRunCommand', description: 'The subsystem has done it.' });
export type GatewayRunCommand = z.infer<typeof GatewayRunCommand>;

export const GatewayBulkAnswer = z
  .object({
    items: z.array(
      z.object({
        runId: z.string(),
        success: z.boolean(),
        error: z
          .string()
          .nullable()
          .meta({ description: 'Why not; it says so where it may have been done all the same.' }),
        newRunId,
      }),
    ),
    ...told,
  })
  .meta({ id: 'GatewayBulkAnswer', description: 'In the order of the request.' });
export type GatewayBulkAnswer = z.infer<typeof GatewayBulkAnswer>;
