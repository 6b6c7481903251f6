import { z } from 'zod';
import { ALL_TENANTS } from '../auth/principal.js';
import { dnsLabel } from '../http/dns-name.js';
import { labelSelectorQuery } from '../http/label-selector.js';
import { labelsSchema } from '../http/labels.js';
import { pageQuery, pageSchema } from '../http/page.js';

const MAX_LIMIT = 1_000_000_000;

const name = dnsLabel
  .refine((text) => text !== ALL_TENANTS)
  .meta({ description: 'DNS label, unique; what keys and objects carry as `tenantId`.', example: 'acme' });
const plan = z.string().max(63).meta({ description: 'One of CROWSNEST_PLANS.', example: 'team' });
const labels = labelsSchema.meta({ description: 'Labels as in Kubernetes.', example: { region: 'eu' } });
const limit = z.int().min(0).max(MAX_LIMIT).nullable();
const limits = z.strictObject({
  queued: limit
    .optional()
    .meta({ description: 'Jobs that wait or are scheduled; one more gets 429. null: any number.' }),
  running: limit
    .optional()
    .meta({ description: 'Jobs offered to agents or with them; more wait as `throttled`. null: any number.' }),
});

export const CreateTenant = z
  .strictObject({ name, plan: plan.optional(), labels: labels.optional(), limits: limits.optional() })
  .meta({
    id: 'CreateTenant',
    example: { name: 'acme', plan: 'team', labels: { region: 'eu' }, limits: { queued: 10_000, running: 50 } },
  });
export type CreateTenant = z.infer<typeof CreateTenant>;

export const UpdateTenant = z
  .strictObject({
    version: z.int().min(1).meta({ description: '`version` of the tenant that was read before.', example: 1 }),
    plan: plan.optional(),
    labels: labels.optional(),
    limits: limits.optional(),
  })
  .meta({ id: 'UpdateTenant', example: { version: 1, plan: 'pro', limits: { running: 100 } } });
export type UpdateTenant = z.infer<typeof UpdateTenant>;

const repeated = <T extends z.ZodType>(item: T) =>
  z.union([item.transform((one) => [one]), z.array(item).max(100)]).optional();

export const ListTenantsQuery = z.strictObject({
  ...pageQuery,
  name: repeated(z.string().max(63)),
  plan: repeated(z.string().max(63)),
  labelSelector: labelSelectorQuery,
});
export type ListTenantsQuery = z.infer<typeof ListTenantsQuery>;

const time = z.iso.datetime();

export const TenantAnswer = z
  .object({
    id: z.string(),
    name: z.string(),
    plan: z.string(),
    labels: z.record(z.string(), z.string()),
    limits: z.object({ queued: z.int().nullable(), running: z.int().nullable() }),
    version: z.int(),
    createdAt: time,
    updatedAt: time,
    createdBy: z.string(),
  })
  .meta({ id: 'Tenant' });

export const TenantPage = pageSchema(TenantAnswer, 'TenantPage');
