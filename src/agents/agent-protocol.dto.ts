import { z } from 'zod';
import { dnsLabel, labelsSchema, objectId } from '../http/index.js';
import { AgentAnswer } from './agents.dto.js';

// What agents send may have fields that a later version knows: they are ignored, not refused.

const MAX_JOBS = 1_000;
const agentVersion = z.string().min(1).max(64).meta({ description: "Of the agent's program.", example: '1.4.0' });

/** What a heartbeat or a report tells of a running job. */
export const progressFields = {
  percent: z.number().min(0).max(100).meta({ description: '0 to 100.', example: 40 }),
  message: z.string().max(1_024).optional().meta({ example: 'layer 4 of 10' }),
};

export const RegisterAgent = z
  .object({
    token: z.string().min(1).max(256).meta({ description: 'A bootstrap token.' }),
    name: dnsLabel.meta({ description: 'DNS label, unique within the tenant.', example: 'scanner-1' }),
    labels: labelsSchema.default({}).meta({ description: 'Besides those of the token, which win.' }),
    version: agentVersion.optional(),
    requestId: z.string().min(16).max(128).optional().meta({
      description: 'Chosen at random and kept. Repeating it, should the answer be lost, gets the same agent.',
    }),
  })
  .meta({
    id: 'RegisterAgent',
    example: {
      token: 'cbt_65b9f0c2a9b1d3e4f5061728.the-secret-of-a-token-from-POST-bootstrap-tok',
      name: 'scanner-1',
      labels: { arch: 'arm64' },
      version: '1.4.0',
      requestId: '0b0f9d0e-0f5e-4dbb-9d5e-3b0f1f4b8a11',
    },
  });
export type RegisterAgent = z.infer<typeof RegisterAgent>;

export const Heartbeat = z
  .object({
    jobs: z
      .array(
        z.object({
          id: objectId,
          token: z.string().min(1).max(128).meta({ description: '`lease.token` of the claimed job.' }),
          progress: z.object(progressFields).optional(),
        }),
      )
      .max(MAX_JOBS)
      .default([])
      .meta({ description: 'All that the agent works on.' }),
    load: z.number().min(0).max(1_000_000).optional().meta({ description: 'By a measure of its own.', example: 0.4 }),
    version: agentVersion.optional(),
  })
  .meta({
    id: 'Heartbeat',
    example: { jobs: [{ id: '65b9f0c2a9b1d3e4f5061728', token: 'the token of the claim' }], load: 0.4 },
  });
export type Heartbeat = z.infer<typeof Heartbeat>;

const nextBeatMs = z.int().meta({ description: 'When to beat next, in milliseconds from now.' });

export const RegisteredAgentAnswer = z
  .object({
    agent: AgentAnswer,
    credential: z.string().meta({ description: 'Sent as `Authorization: Bearer`. Shown this once.' }),
    nextBeatMs,
  })
  .meta({ id: 'RegisteredAgent' });
export type RegisteredAgentAnswer = z.infer<typeof RegisteredAgentAnswer>;

export const HeartbeatAnswer = z
  .object({
    renewed: z.array(z.object({ id: z.string(), expiresInMs: z.int() })),
    lost: z.array(z.string()).meta({ description: 'Not yours any more: drop the work.' }),
    cancel: z.array(z.string()).meta({ description: 'Still yours: stop the work and tell `fail`.' }),
    nextBeatMs,
  })
  .meta({ id: 'HeartbeatAnswer' });
export type HeartbeatAnswer = z.infer<typeof HeartbeatAnswer>;
