import { z } from 'zod';
import { ALL_TENANTS, ROLES } from '../auth/index.js';
import { dnsLabel, pageQuery, pageSchema } from '../http/index.js';

const MAX_EXPIRES_IN_MS = 10 * 365 * 86_400_000;

export const CreateApiKey = z
  .strictObject({
    name: dnsLabel.meta({ description: 'DNS label, unique within the tenant.', example: 'ci' }),
    role: z.enum(ROLES).meta({ description: 'At most your own.' }),
    tenantId: z
      .union([dnsLabel, z.literal(ALL_TENANTS)])
      .optional()
      .meta({ description: 'Your own if absent. Only for admins of all tenants: another, or `*` for all.' }),
    expiresInMs: z
      .int()
      .min(1_000)
      .max(MAX_EXPIRES_IN_MS)
      .nullable()
      .default(null)
      .meta({ description: 'Milliseconds until it ends; null: never.', example: 7_776_000_000 }),
  })
  .meta({ id: 'CreateApiKey', example: { name: 'ci', role: 'operator', expiresInMs: 7_776_000_000 } });
export type CreateApiKey = z.infer<typeof CreateApiKey>;

const repeated = <T extends z.ZodType>(item: T) =>
  z.union([item.transform((one) => [one]), z.array(item).max(100)]).optional();

export const ListApiKeysQuery = z.strictObject({
  ...pageQuery,
  name: repeated(z.string().max(63)),
  tenantId: repeated(z.string().max(63)),
});
export type ListApiKeysQuery = z.infer<typeof ListApiKeysQuery>;

const time = z.iso.datetime();

export const ApiKeyAnswer = z
  .object({
    id: z.string(),
    tenantId: z.string(),
    name: z.string(),
    role: z.enum(ROLES),
    principal: z.string().meta({ description: 'Who it acts as, in `createdBy` and in the audit log.' }),
    expiresAt: time.nullable(),
    lastUsedAt: time.nullable().meta({ description: 'Right to the minute.' }),
    createdAt: time,
    createdBy: z.string(),
  })
  .meta({ id: 'ApiKey' });

export const NewApiKeyAnswer = ApiKeyAnswer.extend({
  key: z.string().meta({ description: 'Sent as `Authorization: Bearer`. Shown this once.' }),
}).meta({ id: 'NewApiKey' });

export const ApiKeyPage = pageSchema(ApiKeyAnswer, 'ApiKeyPage');
