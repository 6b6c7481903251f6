import { z } from 'zod';
import { progressFields } from '../agents/index.js';
import { labelsSchema } from '../http/labels.js';
import { JOB_STATES } from './job-state.js';

// What agents send may have fields that a later version knows: they are ignored, not refused.

const MAX_WAIT_MS = 30_000;
const token = z.string().min(1).max(128).meta({ description: '`lease.token` of the claimed job.' });

export const ClaimJobs = z
  .object({
    claimId: z.string().min(1).max(128).meta({
      description: 'Chosen anew for each claim. Repeating it gets the same jobs, should the answer be lost.',
    }),
    capacity: z.int().min(1).max(100).default(1).meta({
      description:
        'Jobs at most; fewer where their payloads could have more than 8 MiB together, and the rest with the next claim.',
    }),
    waitMs: z.int().min(0).max(MAX_WAIT_MS).default(0).meta({ description: 'How long to wait for the first job.' }),
    labels: labelsSchema.default({}).meta({ description: "Besides the agent's registered ones, which win." }),
  })
  .meta({
    id: 'ClaimJobs',
    example: { claimId: '5f0c2d4e-7d0b-4c2f-9a55-1f3f0c9f7b11', capacity: 10, waitMs: 1_000 },
  });
export type ClaimJobs = z.infer<typeof ClaimJobs>;

export const StartJob = z.object({ token }).meta({ id: 'StartJob', example: { token: 'the token of the claim' } });
export type StartJob = z.infer<typeof StartJob>;

export const ReportProgress = z
  .object({ token, ...progressFields })
  .meta({ id: 'ReportProgress', example: { token: 'the token of the claim', percent: 40, message: 'layer 4 of 10' } });
export type ReportProgress = z.infer<typeof ReportProgress>;

export const CompleteJob = z
  .object({ token, result: z.unknown().optional().meta({ description: 'Any JSON, at most 1 MiB.' }) })
  .meta({ id: 'CompleteJob', example: { token: 'the token of the claim', result: { findings: 3 } } });
export type CompleteJob = z.infer<typeof CompleteJob>;

export const FailJob = z
  .object({
    token,
    error: z.object({
      code: z.string().max(128).nullable().default(null),
      message: z.string().max(8_192),
      detail: z.unknown().optional(),
    }),
    retryable: z.boolean().default(true).meta({ description: 'False: trying again is of no use.' }),
  })
  .meta({ id: 'FailJob', example: { token: 'the token of the claim', error: { message: 'the registry is down' } } });
export type FailJob = z.infer<typeof FailJob>;

const lease = z.object({
  token: z.string().meta({ description: 'Proves, with every report, that the job is still yours.' }),
  expiresInMs: z.int().meta({
    description:
      'Renewed by heartbeats, starts and progress. Count from when you sent the request; after a claim that waited, from your `start`.',
  }),
});

export const ClaimAnswer = z
  .object({
    jobs: z.array(
      z.object({
        id: z.string(),
        tenantId: z.string(),
        type: z.string(),
        payload: z.unknown(),
        attempt: z.int(),
        timeoutMs: z.int().nullable(),
        lease,
      }),
    ),
  })
  .meta({ id: 'ClaimedJobs' });

export const HeldJobAnswer = z
  .object({
    id: z.string(),
    state: z.enum(JOB_STATES),
    cancelRequested: z.boolean().meta({ description: 'Stop the work and tell `fail`.' }),
    lease: lease.omit({ token: true }),
  })
  .meta({ id: 'HeldJob' });
export type HeldJobAnswer = z.infer<typeof HeldJobAnswer>;

export const EndedJobAnswer = z.object({ id: z.string(), state: z.enum(JOB_STATES) }).meta({ id: 'EndedJob' });
export type EndedJobAnswer = z.infer<typeof EndedJobAnswer>;
