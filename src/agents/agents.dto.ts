import { z } from 'zod';
import { labelSelectorQuery, labelsSchema, pageQuery, pageSchema } from '../http/index.js';
import { AGENT_HEALTHS, AGENT_STATUSES } from './agent.js';

const DAY_MS = 86_400_000;

export const UpdateAgent = z
  .strictObject({
    version: z.int().min(1).meta({ description: '`version` of the agent that was read before.', example: 1 }),
    labels: labelsSchema.optional().meta({ description: 'Instead of all that it has.' }),
    schedulable: z.boolean().optional().meta({ description: 'False drains it: it gets no more jobs.' }),
    status: z
      .enum(AGENT_STATUSES)
      .optional()
      .meta({ description: 'Only for admins. `revoked` ends its credentials and takes its jobs from it.' }),
  })
  .meta({ id: 'UpdateAgent', example: { version: 1, schedulable: false } });
export type UpdateAgent = z.infer<typeof UpdateAgent>;

export const IssueAgentCredential = z
  .strictObject({
    graceMs: z
      .int()
      .min(0)
      .max(DAY_MS)
      .optional()
      .meta({ description: 'How long the former one holds; 0: not at all.', example: 600_000 }),
  })
  .meta({ id: 'IssueAgentCredential', example: { graceMs: 600_000 } });
export type IssueAgentCredential = z.infer<typeof IssueAgentCredential>;

const repeated = <T extends z.ZodType>(item: T) =>
  z.union([item.transform((one) => [one]), z.array(item).max(100)]).optional();

export const ListAgentsQuery = z.strictObject({
  ...pageQuery,
  name: repeated(z.string().max(63)),
  tenantId: repeated(z.string().max(63)),
  health: repeated(z.enum(AGENT_HEALTHS)),
  status: repeated(z.enum(AGENT_STATUSES)),
  labelSelector: labelSelectorQuery,
});
export type ListAgentsQuery = z.infer<typeof ListAgentsQuery>;

const time = z.iso.datetime();

export const AgentAnswer = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    name: z.string(),
    labels: z.record(z.string(), z.string()),
    status: z.enum(AGENT_STATUSES).meta({ description: 'What an admin says of it.' }),
    schedulable: z.boolean(),
    health: z.enum(AGENT_HEALTHS).meta({ description: 'What is seen of it: `unknown` until its first heartbeat.' }),
    healthSince: time,
    lastSeenAt: time,
    load: z.number().nullable(),
    agentVersion: z.string().nullable().meta({ description: "Of the agent's program." }),
    credentials: z
      .array(z.object({ id: z.string(), createdAt: time, firstUsedAt: time.nullable(), endsAt: time.nullable() }))
      .meta({ description: 'Without the secrets. Null: until another is issued.' }),
    version: z.int(),
    createdAt: time,
    updatedAt: time,
    createdBy: z.string(),
  })
  .meta({ id: 'Agent' });
export type AgentAnswer = z.infer<typeof AgentAnswer>;

export const AgentPage = pageSchema(AgentAnswer, 'AgentPage');

export const NewAgentCredentialAnswer = z
  .object({
    id: z.string(),
    credential: z.string().meta({ description: 'Sent as `Authorization: Bearer`. Shown this once.' }),
    formerEndsInMs: z.int().meta({ description: 'How long the former one still holds.' }),
  })
  .meta({ id: 'NewAgentCredential' });
export type NewAgentCredentialAnswer = z.infer<typeof NewAgentCredentialAnswer>;
