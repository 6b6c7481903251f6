import { z } from 'zod';
import { dnsLabel } from '../http/dns-name.js';
import { placeIssues } from '../http/issues.js';
import { objectId } from '../http/object-id.js';
import { pageQuery } from '../http/page.js';
import { POOLS } from '../tenants/index.js';
import { JOB_STATES } from './job-state.js';
import { canonicalSelector } from './lane.js';
import { MAX_PRIORITY } from './rank.js';

const MAX_JOBS = 500;
const MAX_TIMEOUT_MS = 30 * 24 * 3_600_000;

export const jobType = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9._-]{0,61}[a-z0-9])?$/, 'expected 1 to 63 lower-case letters, digits, ".", "_" and "-"')
  .meta({ description: 'What kind of work it is; agents decide by it.', example: 'scan' });

const requires = z
  .string()
  .max(1_024)
  .superRefine((text, context) => {
    try {
      canonicalSelector(text);
    } catch (error) {
      context.addIssue({ code: 'custom', message: error instanceof Error ? error.message : 'cannot be read' });
    }
  })
  .default('')
  .meta({ description: 'Label selector: only agents whose labels match get the job.', example: 'region=eu' });

export const CreateJob = z
  .strictObject({
    type: jobType,
    payload: z.unknown().optional().meta({ description: 'Any JSON, at most 1 MiB; for the agent only.' }),
    pool: z
      .enum(POOLS)
      .default('tenant')
      .meta({ description: "`tenant`: its own agents; `platform`: the platform's." }),
    requires,
    tenantId: dnsLabel.optional().meta({ description: 'Only for callers of all tenants; absent: `default`.' }),
    priority: z
      .int()
      .min(0)
      .max(MAX_PRIORITY)
      .default(0)
      .meta({ description: "Besides the base of the tenant's plan." }),
    timeoutMs: z.int().min(1_000).max(MAX_TIMEOUT_MS).nullish().meta({ description: 'Longest time of one attempt.' }),
    maxRetries: z.int().min(0).max(100).optional().meta({ description: 'Absent: CROWSNEST_JOB_RETRIES.' }),
    notBefore: z.iso.datetime({ offset: true }).optional().meta({ description: 'RFC 3339; until then `scheduled`.' }),
    idempotencyKey: z
      .string()
      .min(1)
      .max(128)
      .optional()
      .meta({ description: 'One job of the tenant has it; enqueuing another answers that one.' }),
  })
  .meta({
    id: 'CreateJob',
    example: { type: 'scan', pool: 'platform', payload: { target: 'registry.example/app:1.4' }, priority: 50 },
  });
export type CreateJob = z.infer<typeof CreateJob>;

export const CreateJobs = z
  .strictObject({ jobs: z.array(CreateJob).min(1).max(MAX_JOBS) })
  .meta({ id: 'CreateJobs', example: { jobs: [{ type: 'scan' }, { type: 'report', requires: 'region=eu' }] } });
export type CreateJobs = z.infer<typeof CreateJobs>;

/** One job, or many as `{jobs: […]}`. Not validated as a union, which would hide which field is wrong. */
export const EnqueueJobs = z.union([CreateJob, CreateJobs]).meta({
  id: 'EnqueueJobs',
  example: { type: 'scan', pool: 'platform', payload: { target: 'registry.example/app:1.4' }, priority: 50 },
});

export const EnqueueJobsBody = z
  .unknown()
  .meta({ $ref: '#/components/schemas/EnqueueJobs' })
  .transform((body, context): CreateJob | CreateJobs => {
    const isMany = typeof body === 'object' && body !== null && 'jobs' in body;
    const parsed = isMany ? CreateJobs.safeParse(body) : CreateJob.safeParse(body);
    if (parsed.success) return parsed.data;
    for (const { path, message } of placeIssues(parsed.error.issues)) {
      context.addIssue({ code: 'custom', path: [...path], message, input: body });
    }
    return z.NEVER;
  });

const repeated = <T extends z.ZodType>(item: T) =>
  z.union([item.transform((one) => [one]), z.array(item).max(100)]).optional();

export const ListJobsQuery = z.strictObject({
  ...pageQuery,
  state: repeated(z.enum(JOB_STATES)),
  type: repeated(z.string().max(63)),
  pool: z.enum(POOLS).optional(),
  tenantId: dnsLabel.optional(),
  agentId: objectId.optional(),
});
export type ListJobsQuery = z.infer<typeof ListJobsQuery>;

export const JobStatsQuery = z.strictObject({ tenantId: dnsLabel.optional() });
export type JobStatsQuery = z.infer<typeof JobStatsQuery>;
