import { z } from 'zod';
import { dnsLabel, labelsSchema, pageQuery, pageSchema } from '../../http/index.js';
import { POOLS } from '../../tenants/index.js';
import { TOKEN_STATES } from './bootstrap-token.document.js';

const HOUR_MS = 3_600_000;
const MAX_EXPIRES_IN_MS = 24 * HOUR_MS;

export const CreateBootstrapToken = z
  .strictObject({
    pool: z
      .enum(POOLS)
      .default('tenant')
      .meta({ description: '`platform`, only for admins of all tenants: its agents work for any tenant.' }),
    tenantId: dnsLabel.optional().meta({ description: 'Your own, or `default`, if absent. Not with `platform`.' }),
    labels: labelsSchema.default({}).meta({ description: 'What its agents get, whatever they say.' }),
    expiresInMs: z
      .int()
      .min(1_000)
      .max(MAX_EXPIRES_IN_MS)
      .default(HOUR_MS)
      .meta({ description: 'Milliseconds until it ends, at most 24 h.' }),
    maxUses: z.int().min(1).max(1_000).default(1).meta({ description: 'Agents that it lets in.' }),
  })
  .refine(({ pool, tenantId }) => pool === 'tenant' || tenantId === undefined, {
    path: ['tenantId'],
    message: 'an agent of the platform has no tenant',
  })
  .meta({ id: 'CreateBootstrapToken', example: { labels: { zone: 'eu-1' }, expiresInMs: HOUR_MS, maxUses: 1 } });
export type CreateBootstrapToken = z.infer<typeof CreateBootstrapToken>;

export const ListBootstrapTokensQuery = z.strictObject({ ...pageQuery });
export type ListBootstrapTokensQuery = z.infer<typeof ListBootstrapTokensQuery>;

const time = z.iso.datetime();

export const BootstrapTokenAnswer = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    pool: z.enum(POOLS),
    labels: z.record(z.string(), z.string()),
    state: z.enum(TOKEN_STATES),
    maxUses: z.int(),
    remainingUses: z.int(),
    agentIds: z.array(z.string()).meta({ description: 'Agents that it let in and that were not removed.' }),
    expiresAt: time,
    createdAt: time,
    createdBy: z.string(),
  })
  .meta({ id: 'BootstrapToken' });

export const NewBootstrapTokenAnswer = BootstrapTokenAnswer.extend({
  token: z.string().meta({ description: 'For `POST /agents/register`. Shown this once.' }),
}).meta({ id: 'NewBootstrapToken' });

export const BootstrapTokenPage = pageSchema(BootstrapTokenAnswer, 'BootstrapTokenPage');
