import { z } from 'zod';
import { pageSchema } from '../http/page.js';
import { POOLS } from '../tenants/index.js';
import { JOB_EVENTS, JOB_STATES } from './job-state.js';

const time = z.iso.datetime();

export const JobAnswer = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    type: z.string(),
    pool: z.enum(POOLS),
    requires: z.string().meta({ description: 'In canonical form.' }),
    priority: z.int(),
    state: z.enum(JOB_STATES).meta({
      description:
        'scheduled: its time has not come, or a retry is delayed; throttled: its tenant has as many running as it may; ' +
        'queued; claimed and running: with an agent; completed, failed, canceled, expired: ended.',
    }),
    reason: z.string().nullable().meta({ description: 'Why, where it came so in another way than the ordinary.' }),
    attempts: z.int(),
    maxRetries: z.int(),
    timeoutMs: z.int().nullable(),
    notBefore: time.nullable(),
    runAt: time.nullable().meta({ description: 'When a scheduled job is queued.' }),
    agentId: z.string().nullable().meta({ description: 'Who has it, or had it last.' }),
    progress: z.object({ percent: z.number(), message: z.string().nullable(), at: time }).nullable(),
    cancelRequested: z.boolean(),
    idempotencyKey: z.string().nullable(),
    version: z.int(),
    createdAt: time,
    updatedAt: time,
    createdBy: z.string(),
    startedAt: time.nullable(),
    endedAt: time.nullable(),
  })
  .meta({ id: 'Job' });

export const JobDetailAnswer = JobAnswer.extend({
  payload: z.unknown(),
  result: z.unknown(),
  error: z.object({ code: z.string().nullable(), message: z.string(), detail: z.unknown().optional() }).nullable(),
  history: z
    .array(
      z.object({
        at: time,
        event: z.enum(['enqueue', ...JOB_EVENTS]),
        state: z.enum(JOB_STATES),
        attempt: z.int(),
        agentId: z.string().nullable(),
        by: z.string(),
        reason: z.string().nullable(),
      }),
    )
    .meta({ description: 'Oldest first, at most 20.' }),
}).meta({ id: 'JobDetail' });

export const JobPage = pageSchema(JobAnswer, 'JobPage');

/** One job, or many in the order of the request. */
export const EnqueuedJobs = z
  .union([JobAnswer, z.object({ items: z.array(JobAnswer) }).meta({ id: 'JobList' })])
  .meta({ id: 'EnqueuedJobs' });

export const JobStatsAnswer = z
  .object({
    byState: z.record(z.enum(JOB_STATES), z.int()),
    counts: z.array(z.object({ state: z.enum(JOB_STATES), type: z.string(), tenantId: z.string(), count: z.int() })),
    isTruncated: z.boolean().meta({ description: 'There are more combinations; ask for one tenant.' }),
  })
  .meta({ id: 'JobStats' });
